#pragma once
// Every operation the network is made of.

#include "ops/adamw.h"
#include "ops/attention.h"
#include "ops/bias_residual.h"
#include "ops/bilinear_merge.h"
#include "ops/convert.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/rope.h"
#include "ops/rotary_table.h"
#include "ops/rows.h"
#include "ops/sum_of_squares.h"
#include "ops/upload.h"
