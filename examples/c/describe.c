/* Asks about a picture or clip from plain C: example_c_describe MODEL FILE [QUESTION]
   The answer is printed while it is made. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vl3/vl3.h"

static int print_text(const vl3_event* event, void* user) {
  (void)user;
  if (event->kind == VL3_EVENT_TOKEN) {
    fwrite(event->text, 1, event->text_bytes, stdout);
    if (fflush(stdout) != 0) return 1; /* nobody reads it: enough */
  }
  return 0;
}

/* A string of JSON out of text: quotes and backslashes are escaped. The caller frees it. */
static char* quoted(const char* text) {
  char* json = malloc(2 * strlen(text) + 3);
  char* to = json;
  if (json == NULL) return NULL;
  *to++ = '"';
  for (; *text != '\0'; ++text) {
    if (*text == '"' || *text == '\\') *to++ = '\\';
    *to++ = *text;
  }
  *to++ = '"';
  *to = '\0';
  return json;
}

/* The question in the words of the engine. The caller frees it. */
static char* make_request(const char* file, const char* question) {
  static const char kRequest[] =
      "{\"messages\": [{\"role\": \"user\", \"content\": ["
      "{\"type\": \"image\", \"image\": %s}, {\"type\": \"text\", \"text\": %s}]}],"
      " \"generate\": {\"max_new_tokens\": 64}}";
  char* name = quoted(file);
  char* words = quoted(question);
  char* request = NULL;
  if (name != NULL && words != NULL) {
    size_t bytes = sizeof kRequest + strlen(name) + strlen(words);
    request = malloc(bytes);
    if (request != NULL) snprintf(request, bytes, kRequest, name, words);
  }
  free(name);
  free(words);
  return request;
}

int main(int argc, char** argv) {
  vl3_engine* engine = NULL;
  char *request = NULL, *result = NULL, *error = NULL;
  vl3_status status;
  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL FILE [QUESTION]\n", argv[0]);
    return 2;
  }
  status = vl3_engine_open(argv[1], NULL, NULL, NULL, &engine, &error);
  if (status == VL3_OK) {
    request = make_request(argv[2], argc > 3 ? argv[3] : "Describe this image.");
    status = vl3_answer(engine, request, print_text, NULL, &result, &error);
  }
  if (status == VL3_OK)
    printf("\n");
  else
    fprintf(stderr, "%s: %s\n", vl3_status_name(status), error);
  vl3_string_free(result);
  vl3_string_free(error);
  free(request);
  vl3_engine_free(engine);
  return status == VL3_OK ? 0 : 1;
}
