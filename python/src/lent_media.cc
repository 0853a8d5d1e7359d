#include "lent_media.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <nanobind/ndarray.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "gil.h"

namespace nb = nanobind;

namespace vl3::python {
namespace {

using AnyArray = nb::ndarray<nb::ro>;

class BufferLoan final : public Loans::Loan {
 public:
  BufferLoan(nb::handle object, const std::string& name) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) {
      PyErr_Clear();
      throw nb::type_error(fmt::format("[{}] is no dense buffer of bytes", name).c_str());
    }
  }
  ~BufferLoan() override { PyBuffer_Release(&view_); }
  BufferLoan(const BufferLoan&) = delete;
  BufferLoan& operator=(const BufferLoan&) = delete;
  const void* data() const noexcept { return view_.buf; }
  size_t size() const noexcept { return static_cast<size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

class ArrayLoan final : public Loans::Loan {
 public:
  explicit ArrayLoan(AnyArray array) : array_(std::move(array)) {}

 private:
  AnyArray array_;
};

std::string shape_of(const AnyArray& array) {
  std::string text;
  for (size_t i = 0; i < array.ndim(); ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", array.shape(i));
  return "(" + text + ")";
}

// Frames of an array: extents, and how far apart its elements are.
struct Layout {
  int64_t frames = 1, height = 0, width = 0;
  int64_t frame_step = 0, row_step = 0, column_step = 0, colour_step = 0;
  bool dense() const { return colour_step == 1 && column_step == 3 && row_step == 3 * width; }
};

Layout layout_of(const AnyArray& array, const std::string& name) {
  const size_t axes = array.ndim();
  require(axes == 3 || axes == 4, ErrorCode::kInvalidArgument,
          "[{}] has the shape {}; pictures are (height, width, 3) or (3, height, width), clips have the "
          "frames in "
          "front",
          name, shape_of(array));
  const size_t first = axes - 3;
  const bool colours_last = array.shape(axes - 1) == 3;
  require(colours_last || array.shape(first) == 3, ErrorCode::kInvalidArgument,
          "[{}] has the shape {}, in which neither the last axis nor that of colours is 3: pixels are RGB",
          name, shape_of(array));
  const size_t row = colours_last ? first : first + 1, colour = colours_last ? axes - 1 : first;
  Layout layout;
  layout.height = static_cast<int64_t>(array.shape(row));
  layout.width = static_cast<int64_t>(array.shape(row + 1));
  layout.row_step = array.stride(row);
  layout.column_step = array.stride(row + 1);
  layout.colour_step = array.stride(colour);
  if (axes == 4) {
    layout.frames = static_cast<int64_t>(array.shape(0));
    layout.frame_step = array.stride(0);
  }
  require(layout.frames > 0 && layout.height > 0 && layout.width > 0, ErrorCode::kInvalidArgument,
          "[{}] has the shape {}, which is empty", name, shape_of(array));
  return layout;
}

void copy_pixels(const uint8_t* from, const Layout& layout, std::vector<uint8_t>& rgb) {
  rgb.resize(static_cast<size_t>(layout.height) * static_cast<size_t>(layout.width) * 3);
  uint8_t* to = rgb.data();
  for (int64_t y = 0; y < layout.height; ++y) {
    for (int64_t x = 0; x < layout.width; ++x) {
      const uint8_t* pixel = from + y * layout.row_step + x * layout.column_step;
      for (int64_t c = 0; c < 3; ++c) *to++ = pixel[c * layout.colour_step];
    }
  }
}

void add_array(Loans& loans, nb::handle object, const std::string& name, std::vector<Image>& frames) {
  AnyArray array;
  if (!nb::try_cast(object, array)) {
    throw nb::type_error(fmt::format("[{}] is a {}, not an array of pixels in the host's memory", name,
                                     nb::type_name(object.type()).c_str())
                             .c_str());
  }
  require(array.device_type() == nb::device::cpu::value, ErrorCode::kInvalidArgument,
          "[{}] lies on another device than the host", name);
  require(
      array.dtype() == nb::dtype<uint8_t>(), ErrorCode::kInvalidArgument,
      "[{}] has {} bits of another type than uint8: pixels are 0 to 255; floating-point pictures are to be "
      "scaled and rounded by whoever knows their range",
      name, array.dtype().bits);
  const Layout layout = layout_of(array, name);
  const auto* data = static_cast<const uint8_t*>(array.data());
  if (layout.dense()) {
    const auto whole = loans.lend(data, std::make_unique<ArrayLoan>(std::move(array)));
    for (int64_t t = 0; t < layout.frames; ++t) {
      Image& frame = frames.emplace_back();
      frame.height = layout.height;
      frame.width = layout.width;
      frame.mode = "RGB";
      frame.lent = {whole, data + t * layout.frame_step};
    }
    return;
  }
  const WithoutGil release;  // the caller's reference keeps the array
  for (int64_t t = 0; t < layout.frames; ++t) {
    Image& frame = frames.emplace_back();
    frame.height = layout.height;
    frame.width = layout.width;
    frame.mode = "RGB";
    copy_pixels(data + t * layout.frame_step, layout, frame.rgb);
  }
}

void add_buffer(Loans& loans, const nb::tuple& parts, const std::string& name, std::vector<Image>& frames) {
  auto loan = std::make_unique<BufferLoan>(parts[0], name);
  Image frame;
  frame.height = nb::cast<int64_t>(parts[1]);
  frame.width = nb::cast<int64_t>(parts[2]);
  frame.mode = "RGB";
  require(frame.height > 0 && frame.width > 0 &&
              static_cast<int64_t>(loan->size()) ==
                  checked_mul(checked_mul(frame.height, frame.width, "pixels"), 3, "bytes"),
          ErrorCode::kInvalidArgument, "[{}] {} x {} pixels come with {} bytes", name, frame.width,
          frame.height, loan->size());
  const auto* data = static_cast<const uint8_t*>(loan->data());
  frame.lent = loans.lend(data, std::move(loan));
  frames.push_back(std::move(frame));
}

}  // namespace

void Loans::give_back(Loan* loan) noexcept {
  const std::lock_guard lock(mutex_);
  loan->next_ = std::exchange(back_, loan);
}

void Loans::settle() {
  Loan* loan = nullptr;
  {
    const std::lock_guard lock(mutex_);
    loan = std::exchange(back_, nullptr);
  }
  while (loan != nullptr) delete std::exchange(loan, loan->next_);
}

MediaSource lend_bytes(Loans& loans, nb::handle data, const std::string& name) {
  auto loan = std::make_unique<BufferLoan>(data, name);
  const size_t size = loan->size();
  require(size > 0, ErrorCode::kInvalidArgument, "[{}] has no data", name);
  const auto* bytes = static_cast<const std::byte*>(loan->data());
  return MediaSource::lent_bytes(loans.lend(bytes, std::move(loan)), size, name);
}

MediaSource lend_pixels(Loans& loans, nb::sequence frames, std::vector<double> times_s,
                        const std::string& name) {
  std::vector<Image> images;
  for (const nb::handle frame : frames) {
    nb::tuple parts;
    if (nb::try_cast(frame, parts))
      add_buffer(loans, parts, name, images);
    else
      add_array(loans, frame, name, images);
  }
  return MediaSource::frames(std::move(images), std::move(times_s), name);
}

MediaSource open_copy(int descriptor, const std::string& name) {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  require(copy >= 0, ErrorCode::kIo, "[{}] cannot be read: {}", name, std::generic_category().message(errno));
  return MediaSource::open_file(copy, name);
}

}  // namespace vl3::python
