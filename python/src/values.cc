#include "values.h"

#include <nanobind/stl/string.h>

#include <string>

#include "base/json.h"
#include "vl3/error.h"

namespace nb = nanobind;

namespace vl3::python {
namespace {

class Reader {
 public:
  Json read(nb::handle value, const std::string& name, int depth) {
    if (depth > kMaxJsonDepth) {
      throw Error(ErrorCode::kLimitExceeded,
                  "[" + name + "] is nested deeper than " + std::to_string(kMaxJsonDepth));
    }
    if (value.is_none()) return nullptr;
    if (PyBool_Check(value.ptr())) return nb::cast<bool>(value);
    if (PyLong_Check(value.ptr())) return integer(value, name);
    if (PyFloat_Check(value.ptr())) return nb::cast<double>(value);
    if (PyUnicode_Check(value.ptr())) return text_from_python(value, name);
    if (PyDict_Check(value.ptr())) return object(nb::borrow<nb::dict>(value), name, depth);
    if (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr())) {
      Json list = Json::array();
      for (const nb::handle item : nb::borrow<nb::object>(value)) {
        list.push_back(read(item, name + "[" + std::to_string(list.size()) + "]", depth + 1));
      }
      return list;
    }
    if (nb::hasattr(value, "__fspath__")) {
      return text_from_python(nb::module_::import_("os").attr("fspath")(value), name);
    }
    // Numbers of numpy and torch, of no axis; what has axes becomes lists.
    if (nb::hasattr(value, "tolist")) return read(value.attr("tolist")(), name, depth + 1);
    throw nb::type_error(("[" + name + "] takes numbers, text, lists and dicts, not " +
                          nb::cast<std::string>(nb::str(value.type())))
                             .c_str());
  }

 private:
  static Json integer(nb::handle value, const std::string& name) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow == 0 && number == -1 && PyErr_Occurred() != nullptr) nb::raise_python_error();
    if (overflow == 0) return number;
    const unsigned long long large = PyLong_AsUnsignedLongLong(value.ptr());  // seeds
    if (PyErr_Occurred() == nullptr) return large;
    PyErr_Clear();
    throw Error(ErrorCode::kLimitExceeded, "[" + name + "] is an integer beyond 64 bits");
  }

  Json object(const nb::dict& dict, const std::string& name, int depth) {
    Json out = Json::object();
    for (const auto item : dict) {
      if (!PyUnicode_Check(item.first.ptr())) {
        throw nb::type_error(("[" + name + "] has a key that is no text: " +
                              nb::cast<std::string>(nb::str(nb::repr(item.first))))
                                 .c_str());
      }
      const std::string key = text_from_python(item.first, "a key of " + name);
      out[key] = read(item.second, name + "." + key, depth + 1);
    }
    return out;
  }
};

}  // namespace

nb::object to_python(const Json& value) {
  switch (value.type()) {
    case Json::value_t::boolean:
      return nb::bool_(value.get<bool>());
    case Json::value_t::number_integer:
      return nb::cast(value.get<int64_t>());
    case Json::value_t::number_unsigned:
      return nb::cast(value.get<uint64_t>());
    case Json::value_t::number_float:
      return nb::float_(value.get<double>());
    case Json::value_t::string:
      return nb::cast(value.get_ref<const std::string&>());
    case Json::value_t::array: {
      nb::list list;
      for (const Json& item : value) list.append(to_python(item));
      return list;
    }
    case Json::value_t::object: {
      nb::dict dict;
      for (const auto& item : value.items()) dict[nb::cast(item.key())] = to_python(item.value());
      return dict;
    }
    default:
      return nb::none();
  }
}

std::string text_from_python(nb::handle text, std::string_view name) {
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (bytes != nullptr) return {bytes, static_cast<size_t>(size)};
  if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) nb::raise_python_error();
  PyErr_Clear();
  throw Error(ErrorCode::kInvalidArgument, "[" + std::string(name) + "] is no text: it holds half of a " +
                                               "surrogate pair: " + nb::cast<std::string>(nb::repr(text)));
}

Json json_from_python(nb::handle value, std::string_view name) {
  return Reader().read(value, std::string(name), 0);
}

}  // namespace vl3::python
