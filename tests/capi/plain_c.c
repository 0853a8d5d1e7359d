/* The header in plain C: every function is called, and what comes back is looked at as C code does it.
   Returns NULL, or what was wrong. */

#include "capi/plain_c.h"

#include <stdio.h>
#include <string.h>

#include "vl3/vl3.h"

#define CHECK(condition) \
  if (!(condition)) return #condition

typedef struct {
  size_t bytes;
  char text[4096];
  int tokens, progress, ends;
} seen_so_far;

static int see(const vl3_event* event, void* user) {
  seen_so_far* seen = user;
  if (event->size < sizeof *event) return 1;
  if (event->kind == VL3_EVENT_PROGRESS) ++seen->progress;
  if (event->kind != VL3_EVENT_TOKEN) return 0;
  ++seen->tokens;
  if (event->finish != VL3_FINISH_NONE) ++seen->ends;
  if (seen->bytes + event->text_bytes >= sizeof seen->text) return 1;
  memcpy(seen->text + seen->bytes, event->text, event->text_bytes + 1);
  seen->bytes += event->text_bytes;
  return 0;
}

static const char* check_library(void) {
  char* json = NULL;
  char* error = NULL;
  CHECK(strcmp(vl3_version(), VL3_VERSION_STRING) == 0);
  CHECK(vl3_abi_version() == VL3_ABI_VERSION);
  CHECK(strcmp(vl3_status_name(VL3_OK), "ok") == 0);
  CHECK(strcmp(vl3_status_name(12345), "unknown") == 0);
  CHECK(vl3_describe_library(&json, &error) == VL3_OK && error == NULL);
  CHECK(strstr(json, "\"version\":\"" VL3_VERSION_STRING "\"") != NULL);
  vl3_string_free(json);
  vl3_string_free(NULL);
  return NULL;
}

static const char* check_answers(vl3_engine* engine, const char* request) {
  seen_so_far seen = {0};
  char* json = NULL;
  char* error = NULL;
  char expected[5000];
  vl3_request* handle = NULL;
  CHECK(vl3_submit(engine, request, &handle, &error) == VL3_OK && error == NULL);
  while (vl3_request_poll(handle, 20, see, &seen, &error) == VL3_PENDING) {
  }
  CHECK(error == NULL);
  CHECK(seen.tokens > 0 && seen.ends == 1 && seen.progress > 0);
  CHECK(vl3_request_result(handle, &json, &error) == VL3_OK);
  snprintf(expected, sizeof expected, "\"text\":\"%s\"", seen.text); /* the text has nothing to escape */
  CHECK(strstr(json, expected) != NULL);
  vl3_string_free(json);
  vl3_request_cancel(handle); /* it has ended: nothing changes */
  CHECK(vl3_request_run(handle, NULL, NULL, NULL) == VL3_OK);
  vl3_request_free(handle);
  vl3_request_free(NULL);

  memset(&seen, 0, sizeof seen);
  CHECK(vl3_answer(engine, request, see, &seen, &json, &error) == VL3_OK);
  CHECK(strstr(json, expected) != NULL);
  vl3_string_free(json);
  return NULL;
}

const char* use_library_from_c(const char* folder, const char* request) {
  vl3_engine* engine = NULL;
  char* json = NULL;
  char* error = NULL;
  const char* wrong = check_library();
  CHECK(wrong == NULL);
  CHECK(vl3_engine_open("/nowhere", NULL, NULL, NULL, &engine, &error) == VL3_NOT_FOUND);
  CHECK(engine == NULL && error != NULL && strstr(error, "/nowhere") != NULL);
  vl3_string_free(error);
  CHECK(vl3_engine_open(folder, "{\"threads\": 1}", NULL, NULL, &engine, &error) == VL3_OK);
  CHECK(vl3_engine_describe(engine, &json, &error) == VL3_OK && strstr(json, "\"context_tokens\"") != NULL);
  vl3_string_free(json);
  wrong = check_answers(engine, request);
  vl3_engine_free(engine);
  vl3_engine_free(NULL);
  return wrong;
}
