#pragma once
// The threads are part of the public API; inside the library they go by this name.

#include "vl3/thread_pool.h"
