#ifndef VL3_EXPORT_H
#define VL3_EXPORT_H
// VL3_API stands before what users of the library may link; everything else is hidden in a shared library.
// Archive and shared library are made of the same objects, so that it does not depend on the kind.

#if defined(__GNUC__)
#define VL3_API __attribute__((visibility("default")))
#else
#define VL3_API
#endif

#endif  // VL3_EXPORT_H
