/* Asks several questions at once and shows how far each is: example_c_ask_several MODEL QUESTION...
   What bindings do: submit, poll, result, free. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vl3/vl3.h"

enum { kMostQuestions = 16 };

struct question {
  vl3_request* request;
  int tokens, ended;
};

static int count(const vl3_event* event, void* user) {
  struct question* question = user;
  if (event->kind == VL3_EVENT_TOKEN) ++question->tokens;
  return 0;
}

/* words must need no escapes. */
static vl3_status ask(vl3_engine* engine, const char* words, vl3_request** request, char** error) {
  char text[1024];
  if (strpbrk(words, "\"\\") != NULL || strlen(words) > sizeof text / 2) return VL3_INVALID_ARGUMENT;
  snprintf(text, sizeof text,
           "{\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}],"
           " \"generate\": {\"max_new_tokens\": 16}}",
           words);
  return vl3_submit(engine, text, request, error);
}

/* True once the request has ended; its result, or what was wrong, is printed then. */
static int look(struct question* question, int number) {
  char *result = NULL, *error = NULL;
  vl3_status status = vl3_request_poll(question->request, 50, count, question, &error);
  if (status == VL3_PENDING) return 0;
  if (status == VL3_OK) status = vl3_request_result(question->request, &result, &error);
  if (status == VL3_OK)
    printf("question %d, %d tokens: %s\n", number, question->tokens, result);
  else
    printf("question %d: %s: %s\n", number, vl3_status_name(status), error);
  vl3_string_free(result);
  vl3_string_free(error);
  return 1;
}

int main(int argc, char** argv) {
  struct question questions[kMostQuestions] = {{NULL, 0, 0}};
  const int all = argc - 2 < kMostQuestions ? argc - 2 : kMostQuestions;
  vl3_engine* engine = NULL;
  char* error = NULL;
  int i, open = 0;
  vl3_status status;
  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL QUESTION...\n", argv[0]);
    return 2;
  }
  status = vl3_engine_open(argv[1], NULL, NULL, NULL, &engine, &error);
  for (i = 0; status == VL3_OK && i < all; ++i) {
    status = ask(engine, argv[i + 2], &questions[i].request, &error);
    if (status == VL3_OK) ++open;
  }
  if (status != VL3_OK)
    fprintf(stderr, "%s: %s\n", vl3_status_name(status), error != NULL ? error : "the question is too long");
  while (open > 0) {
    for (i = 0; i < all; ++i) {
      if (questions[i].request == NULL || questions[i].ended) continue;
      questions[i].ended = look(&questions[i], i + 1);
      open -= questions[i].ended;
    }
  }
  for (i = 0; i < all; ++i) vl3_request_free(questions[i].request);
  vl3_string_free(error);
  vl3_engine_free(engine);
  return status == VL3_OK ? 0 : 1;
}
