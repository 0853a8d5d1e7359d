#ifndef VL3_VL3_H
#define VL3_VL3_H
// The engine in plain C (C99), for bindings in any language: open a checkpoint, ask, read the answer
// while it is made. docs/library.md has a program from beginning to end, examples/c/ has some more.
//
// Words. Strings are UTF-8 with a zero byte at the end. What a request and an engine can be asked, and
// what an answer is, stands in JSON text: it grows without a change of this interface. Names and values
// are those of the rest of the engine (docs/tools.md, docs/generation.md).
//
// Ownership. A handle belongs to the caller until it is freed with the function of its type, and so does
// every char* that comes through a char** (vl3_string_free). Strings that are returned as const char*
// live as long as the library, those in a vl3_event as long as the call of the callback. What is passed
// in is copied. Freeing NULL does nothing. A request may outlive its engine: it has ended then.
//
// Threads. Every function may be called by any thread at any time, also for one and the same handle, but
// for the functions that free, which end the handle's life: no other call for it may be under way or
// follow. Answers are computed by threads of the engine's own.
//
// Errors. Functions that can fail return a vl3_status and take a last argument `error`: where that is not
// NULL, it gets the message, which names what was wrong, its value and its limit, or NULL where all went
// well. Handles and strings that a failed call should have given are NULL. No C++ exception leaves a
// function, and none may leave a callback.
//
// Stability. VL3_ABI_VERSION counts changes that break programs; a program may compare it with
// vl3_abi_version(). Without such a change, functions, statuses, events and keys of JSON are only added:
// what a program does not know it passes over. Handles are opaque, and the one structure, vl3_event, is
// made by the library and passed by address: it grows at its end, and its first member says how long it
// is.

#include <stddef.h>
#include <stdint.h>

#include "vl3/export.h"
#include "vl3/version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VL3_ABI_VERSION 1

// --- What the library is.

// "0.1.0".
VL3_API const char* vl3_version(void);
// VL3_ABI_VERSION of the library that was linked.
VL3_API int32_t vl3_abi_version(void);

// --- How calls end.

// One of the values below; a program must expect others.
typedef int32_t vl3_status;
enum {
  VL3_PENDING = -1,          // no error: it goes on
  VL3_OK = 0,                // done
  VL3_INVALID_ARGUMENT = 1,  // a value the caller gave is out of its range, or two of them disagree
  VL3_NOT_FOUND = 2,         // a file, tensor or name that should be there is not
  VL3_IO = 3,                // the operating system refused: permissions, a full disk, a short read
  VL3_FORMAT = 4,            // bytes that are not what they claim to be: truncated or corrupt files, bad JSON
  VL3_UNSUPPORTED = 5,       // well-formed, but the engine cannot do it right, so it does not do it at all
  VL3_LIMIT_EXCEEDED = 6,    // larger than a limit; the message says which and how to raise it
  VL3_OUT_OF_MEMORY = 7,
  VL3_CANCELLED = 8,  // by vl3_request_cancel, or by freeing the engine, before there was an answer
  VL3_INTERNAL = 9    // a bug of the engine
};
// "ok", "invalid_argument", …; "unknown" for other values.
VL3_API const char* vl3_status_name(vl3_status status);

// Frees a string that came through a char**.
VL3_API void vl3_string_free(char* string);

// {"version", "commit", "features": {name: text}} of the library in *json.
VL3_API vl3_status vl3_describe_library(char** json, char** error);

// --- Engines.

// A checkpoint that was opened, and the threads that compute with it.
typedef struct vl3_engine vl3_engine;

// Messages for people who look for a fault. level: 0 details, 1 information, 2 warnings. Called by threads
// of the engine, several of them at a time; it must not call functions of this header.
typedef void (*vl3_log_fn)(int32_t level, const char* message, void* user);

// Opens a checkpoint folder. options: NULL, or an object with any of "threads", "compute", "cache", "cpu",
// "adapter", "max_memory_bytes", "feature_cache_bytes", "prefix_cache_bytes", "disk_cache",
// "disk_cache_bytes", "reuse_static_frames", "limits" (an object: limits of media) and "fetch" (whether media
// may be http(s) addresses: false, true, or an object that says how); docs/library.md has each with its
// meaning and default. Any other key is refused. log: NULL for silence.
VL3_API vl3_status vl3_engine_open(const char* folder, const char* options, vl3_log_fn log, void* log_user,
                                   vl3_engine** engine, char** error);

// {"folder", "context_tokens", "weight_bytes", "generate": the checkpoint's own settings} in *json.
VL3_API vl3_status vl3_engine_describe(vl3_engine* engine, char** json, char** error);

// Cancels every request that is under way, waits until none is, and frees the engine.
VL3_API void vl3_engine_free(vl3_engine* engine);

// --- Requests.

// A question that was asked, its answers as far as they are there, and what it ended with.
typedef struct vl3_request vl3_request;

// Asks, and returns at once. request: {"messages": [...], "generate": {settings}} with everything else that
// a request file may have (docs/tools.md): "images" and "videos" (how media are looked at), "conversations"
// for several questions at once, "structured" (the answers' form: docs/structured_output.md), and so on.
// Requests under way share every step of the model; "priority" (a
// higher one goes first), "client" (whose it is: clients are served in turn) and "deadline_s" (seconds) say
// how. Media are paths, data: URLs, and http(s) addresses where the engine was opened with "fetch". An object
// that says something wrong is refused here; media that cannot be read or fetched make the request end with
// an error.
VL3_API vl3_status vl3_submit(vl3_engine* engine, const char* request, vl3_request** handle, char** error);

// What an event tells.
enum {
  VL3_EVENT_TOKEN = 1,    // one more token of an answer
  VL3_EVENT_PROGRESS = 2  // how far a long stage is
};
// Why an answer ended.
enum {
  VL3_FINISH_NONE = 0,  // it goes on
  VL3_FINISH_STOP = 1,  // an end token or a stop string
  VL3_FINISH_LENGTH = 2,
  VL3_FINISH_CANCELLED = 3
};

typedef struct vl3_event {
  size_t size;   // of this structure in the library: a member that ends behind it is not there
  int32_t kind;  // VL3_EVENT_...; a program passes over those it does not know

  // Of tokens.
  int32_t finish;        // VL3_FINISH_..., other than NONE with the last token of a sequence
  int64_t conversation;  // index in the request
  int64_t sequence;      // index among the answers of the conversation
  int64_t index, token;  // place in the answer, and id
  const char* text;      // what became certain with it: whole characters, often none
  size_t text_bytes;     // without the zero byte at the end
  double logprob;        // natural logarithm of its probability; NaN unless "logprobs" was asked for

  // Of progress: "decode" counts frames, "encode" patches, "prefill" tokens. NULL and 0 with tokens.
  const char* stage;
  int64_t done, total;
} vl3_event;

// Is told events in their order, on the thread that calls vl3_request_poll, vl3_request_run or vl3_answer.
// Other than 0: the request is cancelled; tokens that were made meanwhile are still told and are part of
// the result.
typedef int (*vl3_event_fn)(const vl3_event* event, void* user);

// The folder to open for a model that a person named, in *folder: an existing folder or file as it is; else
// the snapshot of "org/name", also with "@revision", which is downloaded into the cache that huggingface_hub
// keeps, as far as it is not there (docs/hub.md). options: NULL, or an object with any of "revision",
// "include", "exclude" (lists of patterns), "cache_dir", "endpoint", "token", "local_files_only" and
// "parallel_files"; what it leaves out the environment says (HF_TOKEN, HF_HUB_CACHE, …). on_event (NULL:
// nothing) is told progress: its stage is "download", done and total are bytes. It is called on threads of
// the download, one call at a time; other than 0 ends it with VL3_CANCELLED, and what came is kept for the
// next time.
VL3_API vl3_status vl3_resolve_model(const char* name_or_folder, const char* options, vl3_event_fn on_event,
                                     void* user, char** folder, char** error);

// Tells what has happened since the last call (on_event may be NULL: then it is forgotten). Waits for the
// first of it, or for the end, at most timeout_ms; less than 0: as long as it takes. VL3_PENDING while the
// request goes on; once all is told, VL3_OK where there is a result, else what it ended with. Several
// threads that poll one request share its events.
VL3_API vl3_status vl3_request_poll(vl3_request* request, int64_t timeout_ms, vl3_event_fn on_event,
                                    void* user, char** error);

// vl3_request_poll until the end: never VL3_PENDING.
VL3_API vl3_status vl3_request_run(vl3_request* request, vl3_event_fn on_event, void* user, char** error);

// Ends a request soon; one that has ended stays as it is. Of an answer that had begun, the result has what
// there was; else the request ends with VL3_CANCELLED. May be called inside of a callback.
VL3_API void vl3_request_cancel(vl3_request* request);

// The answers in *json: {"answers": [{"conversation", "sequence", "text", "finish_reason", "stop_reason",
// "stop_token", "prompt_tokens", "new_ids", "seed", and where they were asked for "logprobs" and, of beams,
// "sequence_score"}], "videos": [what was looked at of each clip], "timings": {"process_s",
// "first_token_s", "generate_s"}}. VL3_PENDING before the end; of a request that failed, what it ended with.
VL3_API vl3_status vl3_request_result(vl3_request* request, char** json, char** error);

// Cancels it where it is under way, without waiting, and frees it. Not to be called inside of a callback.
VL3_API void vl3_request_free(vl3_request* request);

// vl3_submit, vl3_request_run, vl3_request_result and vl3_request_free in one.
VL3_API vl3_status vl3_answer(vl3_engine* engine, const char* request, vl3_event_fn on_event, void* user,
                              char** json, char** error);

#ifdef __cplusplus
}  // extern "C"
#endif
#endif  // VL3_VL3_H
