// JSON schemas: what matches, exactly; what is refused, with the place; what hostile ones cost.

#include "grammar/grammar_support.h"
#include "support/expect_failure.h"
#include "support/support.h"

namespace vl3::grammar {
namespace {

struct Case {
  const char* schema;
  std::vector<std::string> matches, others;
};

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    Compiled compiled = Compiled::schema(one.schema);
    for (const std::string& text : one.matches)
      EXPECT_TRUE(compiled.accepts(text)) << one.schema << "  " << text;
    for (const std::string& text : one.others)
      EXPECT_FALSE(compiled.accepts(text)) << one.schema << "  " << text;
  }
}

TEST(Schema, Types) {
  check({{R"({"type": "null"})", {"null"}, {"", "nul", " null", "true"}},
         {R"({"type": "boolean"})", {"true", "false"}, {"True", "null"}},
         {R"({"type": ["string", "null"]})", {"\"\"", "null"}, {"0", "[]"}},
         {R"({"type": "string", "nullable": true})", {"\"a\"", "null"}, {"1"}},
         {R"(true)",
          {"{}", "[1, {\"a\":null}]", "-1.5e-7", "\"x\""},
          {"", "{,}", "[1,]", "01", "1.", "[1 ,2]"}},
         {R"({"title": "anything"})", {"1", "{}"}, {}},
         {R"({"minLength": 2})", {"\"ab\""}, {"\"a\"", "1"}}});
}

TEST(Schema, Strings) {
  check({{R"({"type": "string"})",
          {R"("")", R"("é🙂中")", R"("\n\u00e9\ud83d\ude42\"\\\/")"},
          {R"(")", R"("a)", "\"\n\"", R"("\x")", R"("\ud83d")", R"("\ude42\ud83d")", "\"\xC3\"",
           "\"\xED\xA0\x80\""}},
         {R"({"type": "string", "minLength": 2, "maxLength": 3})",
          {R"("ab")", R"("é🙂中")", R"("\n\ud83d\ude42")"},
          {R"("a")", R"("abcd")", R"("\n")"}},
         {R"({"pattern": "^[A-C]{2,4}-[0-9]{2}$"})", {R"("AB-12")"}, {R"("A-12")", R"("xAB-12")"}},
         {R"({"pattern": "b+"})", {R"("abc")", R"("b")"}, {R"("ac")", R"("")"}},
         {R"({"pattern": "^a|b$"})", {R"("ax")", R"("xb")"}, {R"("xa")"}},
         // What a string has to escape is escaped, in one way.
         {R"({"pattern": "^[\"\\\\\n\\x01]{4}$"})", {R"("\"\\\n\u0001")"}, {R"("\u0022\\\n\u0001")"}},
         {R"({"pattern": "x", "minLength": 3, "maxLength": 4})",
          {R"("axb")", R"("xxxx")"},
          {R"("x")", R"("axbcd")"}},
         {R"({"format": "date"})",
          {R"("2024-02-29")", R"("1999-12-31")", R"("0004-02-29")"},
          {R"("2023-02-29")", R"("1900-02-29")", R"("2024-04-31")", R"("0000-01-01")", R"("2024-13-01")"}},
         {R"({"format": "date-time"})",
          {R"("2024-02-29T23:59:59.5Z")", R"("2024-01-01T00:00:00+05:30")"},
          {R"("2024-02-29")", R"("2024-01-01T24:00:00Z")"}},
         {R"({"format": "uuid"})", {R"("123e4567-e89b-12d3-a456-426614174000")"}, {R"("123e4567")"}},
         {R"({"format": "ipv4"})", {R"("0.255.10.1")"}, {R"("256.1.1.1")", R"("01.1.1.1")", R"("1.1.1")"}},
         {R"({"format": "ipv6"})",
          {R"("::1")", R"("2001:db8::8a2e:370:7334")", R"("::")"},
          {R"("1:2:3")", R"("1::2::3")"}},
         {R"({"format": "email"})", {R"("a.b@example.org")"}, {R"("a@b")", R"("@b.c")"}}});
}

// Every integer of a range and none beside it.
// All texts of up to six characters, with a character of several bytes and one that JSON escapes: what has
// the length and, without it, the form.
TEST(Schema, LengthsBesidePatternsAreExact) {
  const std::vector<std::string> alphabet = {"a", "b", "é", R"(\n)"};
  std::vector<std::pair<std::string, int64_t>> texts = {{"", 0}};
  for (size_t i = 0; texts[i].second < 6; ++i) {
    for (const std::string& c : alphabet) texts.emplace_back(texts[i].first + c, texts[i].second + 1);
  }
  for (const char* pattern : {"", "^(abé|b)*$", "^(é|ab)*\n?$", "^a?b?(éé)*$", "^(aa|bbb){1,2}$", "b.b"}) {
    Json schema = {{"pattern", pattern}};
    Compiled unbounded = Compiled::schema(schema);
    for (const auto& [min, max] : std::vector<std::pair<int64_t, int64_t>>{{0, 3}, {2, -1}, {3, 5}, {5, 5}}) {
      schema["minLength"] = min;
      if (max >= 0) schema["maxLength"] = max;
      SCOPED_TRACE(schema.dump());
      Compiled bounded = Compiled::schema(schema);
      for (const auto& [text, length] : texts) {
        const std::string quoted = '"' + text + '"';
        const bool within = length >= min && (max < 0 || length <= max);
        ASSERT_EQ(bounded.accepts(quoted), within && unbounded.accepts(quoted)) << text;
      }
      schema.erase("maxLength");
    }
  }
}

// Addresses as classes of data have them: long bounds beside formats of many states.
TEST(Schema, LengthsBesideFormats) {
  const auto url = [](size_t length) {
    const std::string begin = "https://example.org/";
    return '"' + begin + std::string(length - begin.size(), 'x') + '"';
  };
  const auto email = [](size_t length) {
    std::string text = "a@b.c";
    while (text.size() + 62 <= length) text += "." + std::string(61, 'x');
    return '"' + text + std::string(length - text.size(), 'y') + '"';
  };
  check(
      {{R"({"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083})",
        {url(24), url(2082), url(2083)},
        {url(2084), R"("https://")", R"("")"}},
       {R"({"type": "string", "format": "email", "maxLength": 254})",
        {R"("a@b.c")", email(253), email(254)},
        {email(255), R"("a@b")"}},
       {R"({"type": "string", "format": "date", "maxLength": 1000000})", {R"("2024-02-29")"}, {R"("2024")"}},
       {R"({"propertyNames": {"format": "email", "maxLength": 6}, "additionalProperties": true})",
        {R"({"a@b.cd":1})"},
        {R"({"a@b.cde":1})"}},
       {R"({"properties": {"ab": true}, "patternProperties": {"b$": true},
              "propertyNames": {"minLength": 2, "maxLength": 2}})",
        {R"({"ab":1,"cb":1})"},
        {R"({"b":1})", R"({"ccb":1})", R"({"cb":1,"ab":1})"}}});
  // Many of them, each with a title of its own.
  Json many;
  for (int i = 0; i < 12; ++i) {
    many["properties"][fmt::format("url{}", i)] = {
        {"type", "string"}, {"format", "uri"}, {"maxLength", 2083}, {"title", fmt::format("Url {}", i)}};
  }
  EXPECT_TRUE(Compiled::schema(many).accepts("{\"url3\":" + url(2083) + ",\"url11\":" + url(30) + "}"));
}

TEST(Schema, IntegersAreExact) {
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    const int low = static_cast<int>(random() % 2400) - 1200, high = low + static_cast<int>(random() % 1300);
    const bool above = random() % 2 == 0, below = random() % 2 == 0;
    const int step = round % 3 == 0 ? 1 + static_cast<int>(random() % 12) : 1;
    Json schema = {{"type", "integer"}};
    if (round % 5 != 1) schema[above ? "exclusiveMinimum" : "minimum"] = low;
    if (round % 5 != 2) schema[below ? "exclusiveMaximum" : "maximum"] = high;
    if (step > 1) schema["multipleOf"] = step;
    const auto fits = [&](int value) {
      return (round % 5 == 1 || (above ? value > low : value >= low)) &&
             (round % 5 == 2 || (below ? value < high : value <= high)) && value % step == 0;
    };
    bool any = round % 5 == 1 || round % 5 == 2;
    for (int value = low; value <= high; ++value) any = any || fits(value);
    if (!any) continue;
    Compiled compiled = Compiled::schema(schema);
    for (int value = -2600; value <= 2600; ++value)
      ASSERT_EQ(compiled.accepts(std::to_string(value)), fits(value)) << schema << " " << value;
    EXPECT_FALSE(compiled.accepts("-0"));
    EXPECT_FALSE(compiled.accepts("00"));
    EXPECT_FALSE(compiled.accepts("1.0"));
  }
}

// Decimals of three digits behind the point against bounds of up to three.
TEST(Schema, NumbersAreExact) {
  std::mt19937 random(4);
  const auto text = [](int thousandths) {
    return fmt::format("{}{}.{:03}", thousandths < 0 ? "-" : "", std::abs(thousandths) / 1000,
                       std::abs(thousandths) % 1000);
  };
  for (int round = 0; round < 40; ++round) {
    const int unit = round % 4 == 0 ? 1000 : round % 4 == 1 ? 10 : 1;
    const int low = (static_cast<int>(random() % 6000) - 3000) / unit * unit;
    const int high = low + static_cast<int>(random() % 4000) / unit * unit + unit;
    const bool above = random() % 2 == 0, below = random() % 2 == 0;
    const Json schema = parse_json(
        fmt::format(R"({{"type": "number", "{}": {}, "{}": {}}})", above ? "exclusiveMinimum" : "minimum",
                    text(low), below ? "exclusiveMaximum" : "maximum", text(high)),
        "test");
    Compiled compiled = Compiled::schema(schema);
    for (int value = -8000; value <= 8000; ++value) {
      if (value < 0 && value > -1000 && value % 1000 == 0) continue;
      const bool fits = (above ? value > low : value >= low) && (below ? value < high : value <= high);
      ASSERT_EQ(compiled.accepts(text(value)), fits) << schema << " " << text(value);
      if (value % 1000 == 0) {
        ASSERT_EQ(compiled.accepts(std::to_string(value / 1000)), fits) << schema << " " << value / 1000;
      }
    }
  }
  check({{R"({"type": "number", "minimum": 1e-7, "maximum": 2.5e-7})",
          {"0.0000001", "0.00000025"},
          {"0.00000026", "0"}},
         {R"({"type": "number", "multipleOf": 0.01})", {"1", "1.5", "-0.25"}, {"0.125"}},
         {R"({"type": "number", "exclusiveMinimum": 0})", {"0.5", "12"}, {"0", "0.0", "-1"}}});
}

TEST(Schema, Values) {
  check({{R"({"enum": ["red", 5, null, {"a": [1, 2]}, 1.5, "q\"\n"]})",
          {R"("red")", "5", "null", R"({"a":[1,2]})", R"({"a": [1, 2]})", "1.5", R"("q\"\n")"},
          {R"("re")", "6", R"({"a":[2,1]})"}},
         {R"({"const": "x"})", {R"("x")"}, {R"("y")"}},
         {R"({"type": "string", "enum": ["a", 1, "b"]})", {R"("a")", R"("b")"}, {"1"}},
         {R"({"enum": [1, 5, 9, "a"], "minimum": 4})", {"5", "9"}, {"1", R"("a")"}},
         {R"({"enum": ["a", "b"], "const": "b"})", {R"("b")"}, {R"("a")"}}});
}

TEST(Schema, Arrays) {
  check({{R"({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3})",
          {"[1,2]", "[1, 2, 3]"},
          {"[1]", "[1,2,3,4]", "[]", "[1,2", "[1,\n2]"}},
         {R"({"type": "array"})", {"[]", "[1,\"a\",[]]"}, {"[,]"}},
         {R"({"items": {"type": "null"}})", {"[]", "[null,null,null]"}, {"[1]"}},
         {R"({"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false})",
          {"[]", "[\"a\"]", "[\"a\",1]"},
          {"[1]", "[\"a\",1,2]"}},
         {R"({"prefixItems": [{"type": "null"}], "items": {"type": "boolean"}, "minItems": 2})",
          {"[null,true]", "[null,true,false,true]"},
          {"[null]", "[true,true]"}}});
}

TEST(Schema, Objects) {
  check(
      {{R"({"type": "object"})", {"{}", R"({"a":1, "b": {}})"}, {"{\"a\"}", "{\"a\":1,}"}},
       {R"({"properties": {"a": {"type": "integer"}, "b": {"type": "null"}, "c": {}}, "required": ["b"]})",
        {R"({"b":null})", R"({"a": 1, "b": null})", R"({"a":1,"b":null,"c":[]})", R"({"b":null,"c":1})"},
        {R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,"d":1})", R"({,"b":null})"}},
       {R"({"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "integer"}})",
        {R"({})", R"({"a":null,"x":1,"y":2})", R"({"x":1})", R"({"aa":1,"":2})"},
        {R"({"a":1})", R"({"x":null})", R"({"x":1,"a":null})", R"({"\u0061":1})"}},
       {R"({"properties": {}, "required": ["z"]})", {R"({"z":1})"}, {"{}", R"({"y":1})"}},
       {R"({"additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2})",
        {R"({"x":1})", R"({"x":1,"y":2})"},
        {"{}", R"({"x":1,"y":2,"z":3})"}},
       {R"({"properties": {"a": {}, "b": {}, "c": {}}, "minProperties": 2})",
        {R"({"a":1,"c":1})", R"({"a":1,"b":2,"c":3})"},
        {R"({"a":1})", "{}"}},
       {R"({"patternProperties": {"^x_": {"type": "integer"}}, "properties": {"x_1": {"maximum": 5}, "n": {}}})",
        {R"({"x_1":5,"n":null,"x_2":9})", R"({"x_9":1})"},
        {R"({"x_1":6})", R"({"y":1})", R"({"x_2":null})"}},
       {R"({"propertyNames": {"pattern": "^[a-z]+$"}, "additionalProperties": {"type": "null"}})",
        {R"({"ab":null})", "{}"},
        {R"({"A":null})", R"({"":null})"}}});
}

TEST(Schema, ReferencesAndCombinations) {
  check(
      {{R"({"$defs": {"n": {"type": "object", "properties": {"v": {"type": "integer"},
              "next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}, "required": ["v", "next"]}},
              "$ref": "#/$defs/n"})",
        {R"({"v":1,"next":null})", R"({"v":1, "next": {"v":2,"next":{"v":3,"next":null}}})"},
        {R"({"v":1})", R"({"v":1,"next":{}})"}},
       {R"({"definitions": {"a/b": {"type": "boolean"}}, "$ref": "#/definitions/a~1b"})", {"true"}, {"1"}},
       {R"({"$defs": {"s": {"type": "string"}}, "$ref": "#/$defs/s", "maxLength": 2})",
        {R"("ab")"},
        {R"("abc")"}},
       {R"({"anyOf": [{"type": "integer", "maximum": 3}, {"type": "boolean"}]})", {"3", "true"}, {"4"}},
       {R"({"oneOf": [{"const": 1}, {"type": "null"}], "description": "one"})", {"1", "null"}, {"2"}},
       {R"({"allOf": [{"minimum": 3}, {"type": "integer"}, {"maximum": 9}]})",
        {"3", "9"},
        {"2", "10", "3.5"}},
       {R"({"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                        {"properties": {"b": {"type": "null"}, "a": {"minimum": 5}}, "required": ["b"]}]})",
        {R"({"a":5,"b":null})"},
        {R"({"a":4,"b":null})", R"({"a":5})"}},
       {R"({"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]})",
        {R"({"a":1})", R"({"b":1})", R"({"a":1,"b":1})"},
        {"{}"}},
       {R"({"allOf": [{"properties": {"a": {}}, "additionalProperties": false}, {"properties": {"a": {}, "b": {}}}]})",
        {R"({"a":1})", "{}"},
        {R"({"b":1})"}}});
}

// Whatever path through the grammar is taken, the text is JSON, and of the schema's shape.
TEST(Schema, WalksAreJson) {
  std::mt19937 random(7);
  Compiled any = Compiled::schema("{}");
  Compiled person = Compiled::schema(
      R"({"properties": {"name": {"type": "string", "maxLength": 4}, "age": {"type": "integer", "minimum": 0,
          "maximum": 150}, "tags": {"type": "array", "items": {"enum": ["red", "blue"]}, "minItems": 1,
          "maxItems": 3}}, "required": ["name", "age", "tags"]})");
  int walked = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string text = any.walk(random);
    if (!text.empty()) ++walked, parse_json(text, text);
    const Json value = parse_json(person.walk(random, 100'000), "person");
    ASSERT_EQ(value.size(), 3u);
    EXPECT_LE(value["age"].get<int>(), 150);
    EXPECT_GE(value["age"].get<int>(), 0);
    EXPECT_TRUE(value["tags"].size() >= 1 && value["tags"].size() <= 3);
  }
  EXPECT_GT(walked, 100);
}

TEST(Schema, DepthIsLimitedAndStillComesToAnEnd) {
  Compiled lists =
      Compiled::schema(parse_json(R"({"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
                                                   "$ref": "#/$defs/t"})",
                                  "test"),
                       400'000, 5);
  EXPECT_TRUE(lists.accepts("[[[[[]]]],[]]"));
  EXPECT_FALSE(lists.accepts("[[[[[[]]]]]]"));
  EXPECT_EQ(lists.matcher().step(lists.matcher().start(), "[[[[[["), Matcher::kDead);
  // The last level has to take the branch that ends.
  Compiled chain = Compiled::schema(
      parse_json(
          R"({"properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]})",
          "test"),
      400'000, 3);
  EXPECT_TRUE(chain.accepts(R"({"next":{"next":{"next":null}}})"));
  EXPECT_EQ(chain.matcher().step(0, R"({"next":{"next":{"next":{)"), Matcher::kDead);
}

TEST(Schema, SaysWhatIsWrongAndWhere) {
  for (const auto& [schema, what] : std::vector<std::pair<const char*, const char*>>{
           {"5", "# should be an object or a boolean, not 5"},
           {R"({"type": 123})", "#/type should be"},
           {R"({"properties": {"a/b": {"type": "hiccup"}}})", "#/properties/a~1b/type should be"},
           {R"({"enum": []})", "#/enum should be a list of values, one at least"},
           {R"({"items": [1]})", "#/items should be a schema"},
           {R"({"minLength": -1})", "#/minLength should be an integer of 0 or more"},
           {R"({"anyOf": []})", "#/anyOf should be"},
           {R"({"$ref": "#/$defs/none"})", "there is no \"#/$defs/none\""},
           {R"x({"pattern": "("})x", "[schema #/pattern] the regular expression has a ( that nothing closes"},
           {R"({"multipleOf": 0})", "#/multipleOf should be above 0"},
           {R"({"type": "integer", "minimum": 5, "maximum": 1})", "nothing can match"},
           {R"({"type": "string", "minLength": 5, "maxLength": 2})", "nothing can match"},
           {R"({"pattern": "^(abc)*$", "minLength": 4, "maxLength": 5})", "nothing can match"},
           {R"({"pattern": "a", "minLength": 5, "maxLength": 2})", "nothing can match"},
           {R"({"allOf": [{"type": "string"}, {"type": "integer"}]})", "nothing can match"},
           {R"({"required": ["a"], "additionalProperties": false})", "nothing can match"},
           {R"({"$ref": "#"})", "nothing can match"},
           {R"({"properties": {"a": {"$ref": "#"}}, "required": ["a"]})", "nothing can match"},
           {"false", "nothing can match"}}) {
    test::expect_failure(ErrorCode::kInvalidArgument, {what}, [form = schema] { Compiled::schema(form); });
  }
}

TEST(Schema, RefusesByNameAndPlace) {
  for (const auto& [schema, what] : std::vector<std::pair<const char*, const char*>>{
           {R"({"not": {}})", "#/not"},
           {R"({"properties": {"x": {"if": {}}}})", "#/properties/x/if"},
           {R"({"contains": {}})", "#/contains"},
           {R"({"uniqueItems": true})", "#/uniqueItems"},
           {R"({"frobnicate": 1})", "#/frobnicate"},
           {R"({"type": "string", "format": "colour"})", "#/format: \"colour\""},
           {R"({"$ref": "http://127.0.0.1/x.json"})", "not a place in this schema"},
           {R"({"$ref": "file:///etc/passwd"})", "not a place in this schema"},
           {R"x({"pattern": "(?=a)"})x", "lookahead"},
           {R"({"multipleOf": 0.3})", "#/multipleOf"},
           {R"({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})", "two different \"pattern\""},
           {R"({"patternProperties": {"a": {}, "b": {}}})", "#/patternProperties"},
           {R"({"minimum": 1e30})", "#/minimum"}}) {
    test::expect_failure(ErrorCode::kUnsupported, {what}, [form = schema] { Compiled::schema(form); });
  }
}

TEST(Schema, HostileOnesEndWithinTheirBudget) {
  std::string wide = R"({"enum": ["word 0")";
  for (int i = 1; i < 200'000; ++i) wide += fmt::format(", \"word {}\"", i * 7919);
  Json deep = true;
  for (int i = 0; i < 200; ++i) deep = {{"items", deep}};
  for (const Json& schema :
       {parse_json(R"({"type": "array", "minItems": 1000000000})", "test"),
        parse_json(R"({"type": "string", "maxLength": 1000000000})", "test"),
        parse_json(R"({"minProperties": 1000000000})", "test"),
        parse_json(R"({"$defs": {"a": {"$ref": "#/$defs/a", "minLength": 1}}, "$ref": "#/$defs/a"})", "test"),
        parse_json(R"({"allOf": [{"$ref": "#"}]})", "test"), parse_json(wide + "]}", "test"), deep}) {
    test::expect_failure(ErrorCode::kLimitExceeded, {""}, [form = schema] { Compiled::schema(form); });
  }
  // Either refused or compiled: it is the cost that counts.
  try {
    Compiled::schema(
        parse_json(R"({"type": "string", "pattern": "^(a|b|ab)*(c{0,300}){0,300}$", "maxLength": 9})", "t"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded);
  }
  // Two ways to read every level: equal branches are one rule.
  Compiled twice = Compiled::schema(
      R"({"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "array", "items": {"$ref": "#"}}]})");
  EXPECT_TRUE(twice.accepts(std::string(30, '[') + std::string(30, ']')));
}

}  // namespace
}  // namespace vl3::grammar
