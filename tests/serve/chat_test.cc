// POST /v1/chat/completions: whole answers and streams, every field's range.

#include <algorithm>

#include "serve/api_support.h"
#include "vl3/answer_request.h"

namespace vl3::test {
namespace {

using Chat = ApiTest;

// What the engine answers to the same, without a server.
Answers alone(const Engine& engine, const Json& messages, const Json& generate) {
  Context context(ContextOptions{.num_threads = 2});
  const AnswerRequest asked =
      parse_answer_request(engine, {{"messages", messages}, {"generate", generate}}, "test");
  return engine.answer(context, asked.request, asked.settings);
}

TEST_F(Chat, AnswersAsTheEngineDoes) {
  const Json messages = {{{"role", "user"}, {"content", "describe the picture."}}};
  const Answers expected = alone(engine(), messages, {{"max_new_tokens", 16}, {"do_sample", false}});
  const auto exchange = chat("describe the picture.");
  ASSERT_EQ(exchange->status(), 200) << exchange->body();
  const Json answer = exchange->json();
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_EQ(answer["model"], "demo");
  EXPECT_EQ(text_of(answer), expected.results[0].text);
  EXPECT_TRUE(answer["choices"][0]["logprobs"].is_null());
  const int64_t prompt =
      static_cast<int64_t>(expected.results[0].ids.size() - expected.results[0].new_ids.size());
  EXPECT_EQ(answer["usage"]["prompt_tokens"], prompt);
  EXPECT_EQ(answer["usage"]["completion_tokens"], expected.results[0].new_ids.size());
  EXPECT_EQ(answer["usage"]["total_tokens"],
            prompt + static_cast<int64_t>(expected.results[0].new_ids.size()));
}

TEST_F(Chat, SeesPicturesAndClipsAsTheEngineDoes) {
  const std::string picture = (project() / "examples/media/scenes/shapes.png").string();
  const std::string clip = (project() / "examples/media/scenes/count.mp4").string();
  const Json messages = {{{"role", "user"},
                          {"content",
                           {{{"type", "video"}, {"video", clip}, {"fps", 1}},
                            {{"type", "image"}, {"image", picture}},
                            {{"type", "text"}, {"text", "what?"}}}}}};
  const Answers expected = alone(engine(), messages, {{"max_new_tokens", 16}, {"do_sample", false}});
  const auto exchange =
      chat({clip_part({{"fps", 1}}), picture_part(), words("what?")}, {{"media_report", true}});
  ASSERT_EQ(exchange->status(), 200) << exchange->body();
  const Json answer = exchange->json();
  EXPECT_EQ(text_of(answer), expected.results[0].text);
  const Json& usage = answer["usage"];
  EXPECT_EQ(usage["prompt_tokens"], expected.results[0].ids.size() - expected.results[0].new_ids.size());
  const auto count = [&](int64_t id) {
    return std::count(expected.inputs.ids[0].begin(), expected.inputs.ids[0].end(), id);
  };
  EXPECT_EQ(usage["prompt_tokens_details"]["image_tokens"], count(engine().processor().image_token_id()));
  EXPECT_EQ(usage["prompt_tokens_details"]["video_tokens"], count(engine().processor().video_token_id()));
  const Json& report = answer["media_report"];
  ASSERT_EQ(report["videos"].size(), 1u);
  const ClipReport& looked_at = expected.inputs.videos.clips[0];
  EXPECT_EQ(report["videos"][0]["timestamps"], Json(looked_at.frames.timestamps));
  EXPECT_EQ(report["videos"][0]["kept"], Json(looked_at.kept));
  for (size_t frame = 0; frame < looked_at.kept.size(); ++frame) {
    const auto mask = report["videos"][0]["masks"][frame].get<std::string>();
    EXPECT_EQ(std::count(mask.begin(), mask.end(), '1'), looked_at.kept[frame]);
    EXPECT_EQ(static_cast<int64_t>(mask.size()), looked_at.tokens_per_frame);
  }
  EXPECT_EQ(report["images"][0]["tokens"], usage["prompt_tokens_details"]["image_tokens"]);
}

TEST_F(Chat, StreamsTheSameAnswer) {
  const std::string whole = say("describe the picture.", {{"max_tokens", 40}});
  const auto exchange =
      chat("describe the picture.",
           {{"max_tokens", 40}, {"stream", true}, {"stream_options", {{"include_usage", true}}}});
  ASSERT_EQ(exchange->status(), 200);
  EXPECT_TRUE(exchange->fields().find("content-type")->starts_with("text/event-stream"));
  const std::vector<Json> events = exchange->events();
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events[0]["choices"][0]["delta"], (Json{{"role", "assistant"}, {"content", ""}}));
  std::string text;
  for (const Json& event : events) {
    EXPECT_EQ(event["id"], events[0]["id"]);
    EXPECT_EQ(event["created"], events[0]["created"]);
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    if (&event == &events.back()) continue;
    EXPECT_TRUE(event["usage"].is_null());
    text += event["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(text, whole);
  const Json& last = events[events.size() - 2]["choices"][0];
  EXPECT_EQ(last["delta"], Json::object());
  EXPECT_EQ(last["finish_reason"], "stop");
  EXPECT_EQ(events.back()["choices"], Json::array());
  EXPECT_GT(events.back()["usage"]["completion_tokens"], 3);
}

TEST_F(Chat, GivesSeveralChoices) {
  const auto same = chat("describe the picture.", {{"n", 3}, {"max_tokens", 5}})->json();
  ASSERT_EQ(same["choices"].size(), 3u);
  EXPECT_EQ(same["usage"]["completion_tokens"], 15) << "greedy choices are all the same, and counted";
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(same["choices"][i]["index"], i);
    EXPECT_EQ(text_of(same, i), text_of(same));
  }
  const Json draw = {{"n", 3}, {"max_tokens", 12}, {"temperature", 1.8}, {"seed", 3}, {"ignore_eos", true}};
  const auto drawn = chat("tell me", draw)->json(), again = chat("tell me", draw)->json();
  ASSERT_EQ(drawn["choices"].size(), 3u);
  EXPECT_EQ(drawn["usage"]["completion_tokens"], 36);
  EXPECT_NE(text_of(drawn, 0), text_of(drawn, 1));
  Json streamed = draw;
  streamed["stream"] = true;
  const std::vector<Json> events = chat("tell me", streamed)->events();
  std::vector<std::string> joined(3);
  for (const Json& event : events) {
    for (const Json& choice : event["choices"])
      joined[choice["index"].get<size_t>()] += choice["delta"].value("content", "");
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(text_of(drawn, i), text_of(again, i)) << "a seed gives the same again";
    EXPECT_EQ(joined[i], text_of(drawn, i));
  }
}

TEST_F(Chat, SearchesWithBeamsAsTheEngineDoes) {
  const Json messages = {{{"role", "user"}, {"content", "hello there"}}};
  const Answers expected =
      alone(engine(), messages, {{"max_new_tokens", 10}, {"num_beams", 3}, {"num_return_sequences", 2}});
  const auto answer =
      chat("hello there", {{"max_tokens", 10}, {"use_beam_search", true}, {"n", 2}, {"best_of", 3}})->json();
  ASSERT_EQ(answer["choices"].size(), 2u) << answer.dump();
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(text_of(answer, i), expected.results[i].text);
}

TEST_F(Chat, EndsWhereItIsToldTo) {
  const std::string whole = say("describe the picture.", {{"max_tokens", 40}});
  const std::string stop = whole.substr(whole.size() / 2, 3);
  const auto stopped = chat("describe the picture.", {{"max_tokens", 40}, {"stop", stop}})->json();
  EXPECT_EQ(text_of(stopped), whole.substr(0, whole.find(stop)));
  EXPECT_EQ(stopped["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(stopped["choices"][0]["stop_reason"], stop);
  const Json with = {{"max_tokens", 40}, {"stop", stop}, {"include_stop_str_in_output", true}};
  EXPECT_EQ(say("describe the picture.", with), whole.substr(0, whole.find(stop)) + stop);
  const Json late = {{"max_tokens", 40}, {"stop", stop}, {"min_tokens", 40}};
  EXPECT_EQ(say("describe the picture.", late).find(whole.substr(0, whole.size() / 2 + 3)), 0u)
      << "a stop within the first min_tokens does not count";
  const auto ids = engine().processor().tokenizer().encode(whole, false);
  const auto token =
      chat("describe the picture.", {{"max_tokens", 40}, {"stop_token_ids", {ids[2]}}})->json();
  EXPECT_EQ(token["choices"][0]["stop_reason"], ids[2]);
  EXPECT_LE(token["usage"]["completion_tokens"], 3);
  const auto cut = chat("describe the picture.", {{"max_tokens", 40}, {"max_completion_tokens", 2}})->json();
  EXPECT_EQ(cut["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(cut["usage"]["completion_tokens"], 2);
  Json unlimited = chat_body("describe the picture.");
  unlimited.erase("max_tokens");
  const auto ended = ask("/v1/chat/completions", unlimited)->json();
  EXPECT_EQ(ended["choices"][0]["finish_reason"], "stop") << "without a limit it goes to its end";
}

TEST_F(Chat, TellsLogprobs) {
  const Json answer = chat("describe the picture.", {{"logprobs", true}, {"top_logprobs", 3}})->json();
  const Json& content = answer["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), answer["usage"]["completion_tokens"]);
  std::string bytes;
  for (const Json& token : content) {
    EXPECT_LE(token["logprob"], 1e-6);
    ASSERT_EQ(token["top_logprobs"].size(), 3u);
    EXPECT_EQ(token["top_logprobs"][0]["token"], token["token"]);
    for (const Json& byte : token["bytes"]) bytes += static_cast<char>(byte.get<int>());
  }
  EXPECT_TRUE(bytes.starts_with(text_of(answer)));
  Json streamed;
  for (const Json& event :
       chat("describe the picture.", {{"logprobs", true}, {"top_logprobs", 3}, {"stream", true}})->events()) {
    for (const Json& choice : event["choices"]) {
      if (!choice["logprobs"].is_null())
        for (const Json& token : choice["logprobs"]["content"]) streamed.push_back(token);
    }
  }
  EXPECT_EQ(streamed, content);
}

TEST_F(Chat, RefusesFieldsOutOfTheirRange) {
  const std::pair<const char*, Json> wrong[] = {{"temperature", -0.1},
                                                {"temperature", 2.5},
                                                {"temperature", "hot"},
                                                {"temperature", true},
                                                {"top_p", 0},
                                                {"top_p", 1.5},
                                                {"n", 0},
                                                {"n", 17},
                                                {"n", "2"},
                                                {"n", 1.5},
                                                {"n", 1e300},
                                                {"max_tokens", 0},
                                                {"max_tokens", -5},
                                                {"max_tokens", 2.5},
                                                {"presence_penalty", 2.1},
                                                {"frequency_penalty", -2.1},
                                                {"stop", 5},
                                                {"stop", {1}},
                                                {"stop", std::vector<std::string>(65, "x")},
                                                {"stop", ""},
                                                {"top_logprobs", 2},
                                                {"logprobs", 3},
                                                {"logit_bias", {1}},
                                                {"logit_bias", {{"red", 5}}},
                                                {"logit_bias", {{"99999999", 5}}},
                                                {"logit_bias", {{"5", 101}}},
                                                {"logit_bias", {{"-1", 1}}},
                                                {"logit_bias", {{"", 1}}},
                                                {"seed", "a"},
                                                {"seed", 1.5},
                                                {"stream", "yes"},
                                                {"stream_options", {{"include_usage", true}}},
                                                {"top_k", "a"},
                                                {"top_k", -2},
                                                {"min_p", 1.5},
                                                {"repetition_penalty", 0},
                                                {"stop_token_ids", {-1}},
                                                {"stop_token_ids", {512}},
                                                {"min_tokens", 50},
                                                {"best_of", 0},
                                                {"priority", 5000},
                                                {"deadline_s", 0},
                                                {"cache_salt", ""},
                                                {"allowed_token_ids", Json::array()},
                                                {"bad_words", {""}},
                                                {"tools", {{{"type", "function"}}}},
                                                {"tool_choice", "required"},
                                                {"functions", {1}},
                                                {"mm_processor_kwargs", 5},
                                                {"truncate_prompt_tokens", 5},
                                                {"chat_template", "x"}};
  for (const auto& [key, value] : wrong) {
    const auto exchange = chat("hello", {{key, value}});
    ASSERT_EQ(exchange->status(), 400) << key << " " << value.dump();
    EXPECT_EQ(exchange->json()["error"]["param"], key) << exchange->body();
  }
  expect_error(*chat("hello", {{"logprobs", true}, {"top_logprobs", 21}}), 400, "top_logprobs");
  expect_error(*chat("hello", {{"mm_processor_kwargs", {{"fps", -1}}}}), 400, "mm_processor_kwargs.fps");
  expect_error(*chat("hello", {{"mm_processor_kwargs", {{"fsp", 1}}}}), 400, "mm_processor_kwargs.fsp",
               "unsupported");
  expect_error(*chat("hello", {{"mm_processor_kwargs", {{"videos_kwargs", {{"detail", "low"}, {"x", 0}}}}}}),
               400);
  expect_error(*chat("hello", {{"mm_processor_kwargs", {{"images_kwargs", {{"fps", 1}}}}}}), 400,
               "mm_processor_kwargs.images_kwargs.fps", "unsupported");
  expect_error(*chat("hello", {{"media_io_kwargs", {{"image", {{"image_mode", "RGB"}}}}}}), 400,
               "media_io_kwargs.image.image_mode", "unsupported");
  expect_error(*chat("hello", {{"media_io_kwargs", {{"audio", {{"sr", 8000}}}}}}), 400,
               "media_io_kwargs.audio", "unsupported");
  EXPECT_EQ(chat("hello", {{"mm_processor_kwargs", {{"fsp", nullptr}, {"images_kwargs", Json::object()}}}})
                ->status(),
            200);
  expect_error(*chat("hello", {{"mm_processor_kwargs", {{"min_frames", 10}, {"max_frames", 2}}}}), 400,
               "mm_processor_kwargs.min_frames");
  expect_error(*chat({picture_part({{"min_pixels", 5000}, {"max_pixels", 4000}}), words("what?")}), 400,
               "messages[0].content[0].min_pixels");
  expect_error(*chat({clip_part({{"num_frames", 2}, {"max_frames", 1}}), words("what?")}), 400,
               "messages[0].content[0].num_frames");
  expect_error(*chat("hello", {{"model", "gpt-nonesuch"}}), 404, "model", "model_not_found");
}

// Where other programs' requests have pictures: none is dropped in silence.
TEST_F(Chat, RefusesAMediumWhereItReadsNone) {
  const Json url = picture_part()["image_url"], mine = words("what?");
  for (const char* key : {"images", "image", "image_url", "image_data", "video_url", "multi_modal_data"}) {
    expect_error(*chat("hello", {{key, url}}), 400, key, "unsupported");
    const Json message = {{"role", "user"}, {"content", "hello"}, {key, url}};
    expect_error(*ask("/v1/chat/completions", {{"messages", Json::array({message})}}), 400,
                 fmt::format("messages[0].{}", key));
  }
  Json both = mine;
  both["image_url"] = url;
  expect_error(*chat(Json::array({both})), 400, "messages[0].content[0].image_url");
  both.erase("type");
  expect_error(*chat(Json::array({both})), 400, "messages[0].content[0].image_url");
  expect_error(*chat(Json::array({picture_part({{"video_url", url}}), mine})), 400,
               "messages[0].content[0].video_url");
  expect_error(*chat(Json::array({picture_part({{"text", "what?"}})})), 400, "messages[0].content[0].text");
}

TEST_F(Chat, RefusesMediaOfOtherPrograms) {
  const Json url = picture_part()["image_url"], mine = words("what?");
  for (const char* key : {"attachments", "media", "files", "experimental_attachments", "file_id"}) {
    expect_error(*chat("hello", {{key, {{url}}}}), 400, key, "unsupported");
    const Json message = {{"role", "user"}, {"content", "hello"}, {key, {{url}}}};
    expect_error(*ask("/v1/chat/completions", {{"messages", Json::array({message})}}), 400,
                 fmt::format("messages[0].{}", key));
  }
  expect_error(*chat(Json::array({picture_part({{"file_id", "file-1"}}), mine})), 400,
               "messages[0].content[0].file_id", "unsupported");
  Json inner = picture_part();
  inner["image_url"]["file_id"] = "file-1";
  expect_error(*chat(Json::array({inner, mine})), 400, "messages[0].content[0].image_url.file_id");
}

TEST_F(Chat, RefusesByNameWhatWouldBeAnotherAnswer) {
  const std::pair<const char*, Json> asked[] = {
      {"ebnf", "root ::= \"a\""},         {"echo", true},
      {"return_token_ids", true},         {"prompt_embeds", "AAAA"},
      {"function_call", {{"name", "f"}}}, {"functions", {{{"name", "f"}}}},
      {"audio", {{"voice", "a"}}},        {"modalities", {"text", "audio"}}};
  for (const auto& [key, value] : asked)
    expect_error(*chat("hello", {{key, value}}), 400, key, "unsupported");
  expect_error(*chat("hello", {{"stream", true}, {"stream_options", {{"continuous_usage_stats", true}}}}),
               400, "stream_options.continuous_usage_stats", "unsupported");
  EXPECT_EQ(say("hello", {{"echo", false},
                          {"return_token_ids", false},
                          {"functions", Json::array()},
                          {"function_call", "none"},
                          {"modalities", {"text"}}}),
            say("hello"));
}

TEST_F(Chat, LetsThroughWhatItDoesNotKnowAndNulls) {
  const std::string plain = say("hello");
  EXPECT_EQ(
      say("hello", {{"user", "u"}, {"store", false}, {"x_unknown", {{"y", {1}}}}, {"tools", Json::array()}}),
      plain);
  Json nulls = Json::object();
  for (const char* key : {"stop", "seed", "n", "top_p", "logit_bias", "logprobs", "top_logprobs", "tools",
                          "tool_choice", "stream", "stream_options", "response_format", "functions"})
    nulls[key] = nullptr;
  EXPECT_EQ(say("hello", nulls), plain);
}

TEST_F(Chat, CutsAnAnswerToTheContextAndRefusesALongerPrompt) {
  std::string text;
  for (int i = 0; i < 8192; ++i) text += "red cross. ";
  const auto refused = chat(text);
  expect_error(*refused, 400, "messages", "context_length_exceeded");
  EXPECT_NE(refused->body().find("8192"), std::string::npos);
  const auto cut = chat("hello", {{"max_tokens", 1000000000}, {"stop", "."}});
  EXPECT_EQ(cut->status(), 200) << cut->body();
  // More bytes than the context has tokens, and few enough of these.
  const std::string words_of_text = text.substr(0, 10000);
  const auto ids = engine().processor().tokenizer().encode(words_of_text, false);
  ASSERT_LT(ids.size(), 8000u);
  EXPECT_EQ(chat(words_of_text, {{"max_tokens", 1}})->status(), 200);
}

TEST_F(Chat, TheContextIsWhatTheCacheHolds) {
  const TextConfig& text = engine().model().config().text;
  constexpr int64_t kBlocks = 6, kBlockTokens = 64;  // of which two are begun or copied
  options_.scheduler.kv_cache_bytes = kBlocks * text.num_hidden_layers * 2 * text.num_key_value_heads *
                                      kBlockTokens * text.head_dim * int64_t{sizeof(uint16_t)};
  ASSERT_EQ(api().service().thread.scheduler().stats().max_cache_blocks, kBlocks);
  const int64_t context = serve::models_json(api().service())["data"][0]["max_model_len"];
  EXPECT_EQ(context, (kBlocks - 2) * kBlockTokens);
  const auto complete = [&](int64_t tokens) {
    return ask("/v1/completions", {{"prompt", std::vector<int64_t>(static_cast<size_t>(tokens), 40)},
                                   {"max_tokens", 5000},
                                   {"ignore_eos", true}});
  };
  for (const int64_t tokens : {int64_t{100}, context - 1, int64_t{150}}) {
    const auto answer = complete(tokens);
    ASSERT_EQ(answer->status(), 200) << answer->body();
    EXPECT_EQ(answer->json()["usage"]["total_tokens"], context);
  }
  for (const int64_t tokens : {context, int64_t{3000}})
    expect_error(*complete(tokens), 400, "prompt", "context_length_exceeded");
  const auto clip = chat(Json::array({clip_part({{"fps", 4}, {"use_token_compression", false}})}));
  expect_error(*clip, 400, "messages", "context_length_exceeded");
}

TEST_F(Chat, CountsWhatMediaTake) {
  const Json reply =
      chat({clip_part({{"fps", 2}}), picture_part(), words("what?")}, {{"timings", true}})->json();
  const Json& details = reply["usage"]["prompt_tokens_details"];
  EXPECT_EQ(metrics_.visual_tokens.video.value(), details["video_tokens"]);
  EXPECT_EQ(metrics_.visual_tokens_before.image.value(), details["image_tokens"]);
  EXPECT_GE(metrics_.visual_tokens_before.video.value(), metrics_.visual_tokens.video.value());
  EXPECT_EQ(metrics_.visual_tokens_before.video.value() % metrics_.frames_sampled.value(), 0u);
  EXPECT_GE(reply["timings"]["encode_ms"].get<double>(), 0);
  const std::string text = metrics_.text();
  for (const char* name : {"media_encode_seconds_count{model_name=\"demo\"} 1", "mm_cache_queries_total",
                           "visual_tokens_before_compression_total{model_name=\"demo\",kind=\"video\"}"})
    EXPECT_NE(text.find(name), std::string::npos) << name;
}

TEST_F(Chat, GoesOnWithTheLastMessage) {
  const Json question = {{"role", "user"}, {"content", {picture_part(), words("describe the picture.")}}};
  const auto ask_with = [&](const Json& messages, const Json& more) {
    Json body = {{"model", "demo"}, {"messages", messages}, {"temperature", 0}, {"max_tokens", 60}};
    body.update(more);
    return ask("/v1/chat/completions", body);
  };
  const auto text = [](const CaughtExchange& exchange) {
    return exchange.json()["choices"][0]["message"]["content"].get<std::string>();
  };
  const std::string whole = text(*ask_with(Json::array({question}), Json::object()));
  const size_t cut = whole.find(' ', whole.size() / 2);
  ASSERT_NE(cut, std::string::npos) << whole;
  const Json begun = {question, {{"role", "assistant"}, {"content", whole.substr(0, cut)}}};
  EXPECT_EQ(text(*ask_with(begun, {{"continue_final_message", true}})), whole.substr(cut));
  EXPECT_EQ(text(*ask_with(begun, {{"continue_final_message", true}, {"add_generation_prompt", false}})),
            whole.substr(cut));
  expect_error(*ask_with(begun, {{"continue_final_message", true}, {"add_generation_prompt", true}}), 400,
               "continue_final_message", "invalid_value");
  // No path of this machine in what clients are told.
  const Json silent = Json::array({{{"role", "user"}, {"content", {picture_part()}}}});
  const auto refused = ask_with(silent, {{"continue_final_message", true}});
  EXPECT_EQ(refused->status(), 400);
  EXPECT_NE(refused->body().find("[messages[0].content]"), std::string::npos) << refused->body();
}

TEST_F(Chat, TellsProgressWhereItIsAskedFor) {
  const auto exchange = chat({clip_part(), words("what?")}, {{"stream", true}, {"return_progress", true}});
  bool told = false, answers = false;
  for (const Json& event : exchange->events()) {
    answers = answers || event["choices"][0]["delta"].value("content", "") != "";
    if (!event.contains("prompt_progress")) continue;
    told = true;
    EXPECT_FALSE(answers) << "progress behind a token: " << event.dump();
    EXPECT_LE(event["prompt_progress"]["processed"], event["prompt_progress"]["total"]);
  }
  EXPECT_TRUE(told);
}

TEST_F(Chat, KeepsCachesOfClientsApart) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "the red cross ";
  const auto cached = [&](const char* client, const Json& more) {
    return chat(text, more, client)->json()["usage"]["prompt_tokens_details"]["cached_tokens"].get<int64_t>();
  };
  const Json salted = {{"cache_salt", "mine"}};
  EXPECT_EQ(cached("apart a", Json::object()), 0);
  EXPECT_GT(cached("apart a", Json::object()), 64);
  EXPECT_EQ(cached("apart b", Json::object()), 0);
  EXPECT_EQ(cached("apart a", salted), 0);
  EXPECT_GT(cached("apart a", salted), 64);
}

TEST_F(Chat, UsageOfAPictureIsTheSameWheneverItIsAsked) {
  const auto usage = [&] {
    return chat({picture_part(), words("name a shape.")}, Json::object(), "usage")->json()["usage"];
  };
  const Json first = usage();
  EXPECT_EQ(first["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(usage(), first);
}

TEST_F(Chat, AnErrorOfABadMediumHasItsStatusAlsoOfAStream) {
  for (const bool stream : {false, true}) {
    const Json bad = {{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64,!!!!"}}}};
    const auto exchange = chat({bad, words("x")}, {{"stream", stream}});
    expect_error(*exchange, 400);
    EXPECT_EQ(exchange->replies(), 1);
  }
}

// The answer does not depend on who else asks.
TEST_F(Chat, ManyAtOnceAreAnsweredAsAlone) {
  const std::vector<Json> questions = {chat_body("hello there"),
                                       chat_body({picture_part(), words("describe the picture.")}),
                                       chat_body({clip_part({{"fps", 1}}), words("what happens?")}),
                                       chat_body("tell me", {{"temperature", 1.5}, {"seed", 7}}),
                                       chat_body("x", {{"n", 2}, {"temperature", 1.2}, {"seed", 3}})};
  std::vector<Json> expected;
  for (const Json& question : questions)
    expected.push_back(ask("/v1/chat/completions", question)->json()["choices"]);
  std::vector<std::shared_ptr<CaughtExchange>> all;
  for (int round = 0; round < 4; ++round) {
    for (const Json& question : questions)
      all.push_back(start("/v1/chat/completions", question.dump(), round % 2 == 0 ? "a" : "b"));
  }
  for (size_t i = 0; i < all.size(); ++i) {
    all[i]->wait();
    EXPECT_EQ(all[i]->json()["choices"], expected[i % questions.size()]);
  }
}

}  // namespace
}  // namespace vl3::test
