#ifndef VL3_TESTS_CAPI_PLAIN_C_H
#define VL3_TESTS_CAPI_PLAIN_C_H

#ifdef __cplusplus
extern "C" {
#endif

/* NULL, or the condition that did not hold. request: about one conversation whose answer is plain ASCII. */
const char* use_library_from_c(const char* folder, const char* request);

#ifdef __cplusplus
}
#endif
#endif
