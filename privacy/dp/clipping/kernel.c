/* An LSTM's pass over time, its way back, and a product with its norm: plain functions on rows of numbers.

   Compiled once for each set of instructions (deploy/build_kernel.py), without Python or torch. recurrence.py
   has the equations, kernel.py the shapes. Each row of a batch goes through the same operations in the same
   order, whatever rows are beside it. Times are counted in the order of the pass: the distance in memory from
   one time to the next may be negative. */

#include <stddef.h>

#ifndef REAL /* the first of two passes over this file: single precision */
#define TWICE
#if defined(__AVX512F__)
#define BYTES 64
#define ROWS 6
#elif defined(__AVX__)
#define BYTES 32
#define ROWS 3
#else
#define BYTES 16
#define ROWS 6
#endif
#define INLINE static inline __attribute__((always_inline))
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
typedef ptrdiff_t Size;
const char lexveil_kernel_source[] = SOURCE; /* the digest of this file */

/* log(x) for positive normal x: x = 2^e m with m between sqrt(1/2) and sqrt(2), and log(m) = 2 artanh(r). */
INLINE double logarithm(double x) {
    union { double number; long long bits; } in = {x};
    if (!(x >= 2.3e-308 && x < __builtin_inf())) return x - x == 0 ? -__builtin_inf() : x;
    long long power = (in.bits - 0x3fe6a09e667f3bcdLL) >> 52;
    in.bits -= power << 52;
    double r = (in.number - 1) / (in.number + 1), square = r * r, sum = 0;
#pragma GCC unroll 16
    for (int k = 23; k > 0; k -= 2) sum = sum * square + 1. / k;
    return power * 0.693147180559945309417 + 2 * r * sum;
}

#define REAL float
#define WHOLE int
#define NAME(x) PASTE(x, _float32)
#define MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to a whole number */
#define LARGEST 88.0f
#define EXPONENT_BIAS 127
#define MANTISSA 23
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define TERMS 7
#endif

#define LANES (BYTES / (Size)sizeof(REAL))
#define Vec NAME(Vec)
#define Ints NAME(Ints)
typedef REAL Vec __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
typedef WHOLE Ints __attribute__((vector_size(BYTES)));
#define LOAD(p) (*(const Vec *)(p))
#define STORE(p, v) (*(Vec *)(p) = (v))
#define ALL(x) NAME(all)(x)

INLINE Vec NAME(all)(REAL x) { return x - (Vec){0}; }

INLINE Vec NAME(choose)(Ints which, Vec a, Vec b) {
    return (Vec)(((Ints)a & which) | ((Ints)b & ~which));
}

/* exp(x) = 2^n exp(r) with |r| <= ln(2) / 2, by the Taylor polynomial, whose rest is below half a last place.
   Beyond LARGEST it is exp(LARGEST), which is enough for the logistic function. NaN stays NaN. */
INLINE Vec NAME(exponential)(Vec x) {
    static const double inverse_factorials[] = {
        1., 1., 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800,
        1. / 39916800, 1. / 479001600, 1. / 6227020800., 1. / 87178291200.};
    x = NAME(choose)((Ints)(x > ALL(LARGEST)), ALL(LARGEST), x);
    x = NAME(choose)((Ints)(x < ALL(-LARGEST)), ALL(-LARGEST), x);
    Vec shifted = x * ALL((REAL)1.4426950408889634) + ALL(MAGIC);
    Vec n = shifted - ALL(MAGIC);
    Vec r = x - n * ALL(LN2_HIGH);
    r = r - n * ALL(LN2_LOW);
    Vec sum = ALL((REAL)inverse_factorials[TERMS]);
#pragma GCC unroll 16
    for (int k = TERMS - 1; k >= 0; k--) sum = sum * r + ALL((REAL)inverse_factorials[k]);
    /* The last bits of `shifted` are n. */
    Ints power = ((Ints)shifted - (Ints)ALL(MAGIC) + EXPONENT_BIAS) << MANTISSA;
    return sum * (Vec)power;
}

INLINE Vec NAME(logistic)(Vec x) { return ALL(1) / (ALL(1) + NAME(exponential)(-x)); }
INLINE Vec NAME(tangent)(Vec x) { return ALL(2) / (ALL(1) + NAME(exponential)(ALL(-2) * x)) - ALL(1); }

/* sums[row][v] = sum over k of x[row * row_step + k * step] * packed[k][v] */
INLINE void NAME(multiply)(int rows, int vectors, Size inner, const REAL *x, Size row_step, Size step,
                           const REAL *packed, Size packed_step, Vec sums[ROWS][4]) {
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sums[row][v] = ALL(0);
    for (Size k = 0; k < inner; k++) {
        Vec of[4];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) of[v] = LOAD(packed + k * packed_step + v * LANES);
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++) {
            Vec factor = ALL(x[row * row_step + k * step]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sums[row][v] += factor * of[v];
        }
    }
}

typedef struct {
    REAL *gates;                      /* in: what the inputs add to the pre-activations; out: the gates */
    Size gates_time, gates_row;       /* distance from one time to the next, from one row to the next */
    REAL *hidden; Size hidden_time, hidden_row;
    REAL *cells; Size cells_time, cells_row;
    const REAL *before; REAL *after;  /* hidden states of the step before and of this one, rows of `padded` */
    const Size *starts, *ends;        /* times between which each row has steps */
    Size padded, size;
} NAME(Step);
#define Step NAME(Step)

/* Outside of its steps, a row's states are zero. */
INLINE void NAME(forward_tile)(int rows, const Step *s, Size first, Size unit, Size t, const REAL *packed) {
    Vec sums[ROWS][4];
    int some = 0;
    for (int row = 0; row < rows; row++) some |= s->starts[first + row] <= t && t < s->ends[first + row];
    REAL *gates = s->gates + t * s->gates_time + first * s->gates_row + unit;
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int gate = 0; gate < 4; gate++)
            __builtin_prefetch(gates + row * s->gates_row + gate * s->size, 1);
    Size inner = t && some ? s->size : 0;
    NAME(multiply)(rows, 4, inner, s->before + first * s->padded, s->padded, 1, packed, 4 * LANES, sums);
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++) {
        REAL *at = gates + row * s->gates_row;
        REAL *cell = s->cells + t * s->cells_time + (first + row) * s->cells_row + unit;
        REAL *hidden = s->hidden + t * s->hidden_time + (first + row) * s->hidden_row + unit;
        REAL *after = s->after + (first + row) * s->padded + unit;
        if (t < s->starts[first + row] || s->ends[first + row] <= t) {
            STORE(cell, ALL(0));
            STORE(hidden, ALL(0));
            STORE(after, ALL(0));
            continue;
        }
        Vec i = NAME(logistic)(LOAD(at) + sums[row][0]);
        Vec f = NAME(logistic)(LOAD(at + s->size) + sums[row][1]);
        Vec g = NAME(tangent)(LOAD(at + 2 * s->size) + sums[row][2]);
        Vec o = NAME(logistic)(LOAD(at + 3 * s->size) + sums[row][3]);
        Vec c = i * g;
        if (t) c += f * LOAD(cell - s->cells_time);
        Vec h = o * NAME(tangent)(c);
        STORE(at, i);
        STORE(at + s->size, f);
        STORE(at + 2 * s->size, g);
        STORE(at + 3 * s->size, o);
        STORE(cell, c);
        STORE(hidden, h);
        STORE(after, h);
    }
}

/* `packed`: recurrent weights as [size / LANES][size][4][LANES]; `room`: 2 rows (size + LANES) numbers. */
void NAME(forward)(Size times, Size rows, Size size, const Size *starts, const Size *ends,
                   REAL *gates, Size gates_time, Size gates_row, const REAL *packed,
                   REAL *hidden, Size hidden_time, Size hidden_row,
                   REAL *cells, Size cells_time, Size cells_row, REAL *room) {
    Size padded = size + LANES;
    for (Size t = 0; t < times; t++) {
        Step s = {gates, gates_time, gates_row, hidden, hidden_time, hidden_row, cells, cells_time, cells_row,
                  room + (t % 2) * rows * padded, room + (1 - t % 2) * rows * padded, starts, ends,
                  padded, size};
        for (Size unit = 0; unit < size; unit += LANES) {
            const REAL *of = packed + unit * 4 * size;
            Size row = 0;
            for (; row + ROWS <= rows; row += ROWS) NAME(forward_tile)(ROWS, &s, row, unit, t, of);
            for (; row + 2 <= rows; row += 2) NAME(forward_tile)(2, &s, row, unit, t, of);
            for (; row < rows; row++) NAME(forward_tile)(1, &s, row, unit, t, of);
        }
    }
}
#undef Step

typedef struct {
    const REAL *gates; Size gates_time, gates_row;
    const REAL *cells; Size cells_time, cells_row;
    const REAL *d_hidden; Size d_hidden_time, d_hidden_row;
    const REAL *d_cells; Size d_cells_time, d_cells_row; /* may be NULL: zeros */
    REAL *delta; Size delta_time, delta_row;
    const REAL *later; REAL *now; /* delta of the step after and of this one, rows of `padded` */
    REAL *carried;                /* gradient of the cell state that comes from later, (rows, size) */
    const Size *starts, *ends;    /* as in Step */
    Size times, padded, size;
} NAME(Back);
#define Back NAME(Back)

INLINE void NAME(backward_tile)(int rows, int vectors, const Back *s, Size first, Size unit, Size t,
                                const REAL *packed) {
    Vec sums[ROWS][4];
    int some = 0;
    for (int row = 0; row < rows; row++) some |= s->starts[first + row] <= t && t < s->ends[first + row];
    Size inner = t + 1 < s->times && some ? 4 * s->size : 0;
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++) {
        const REAL *gates = s->gates + t * s->gates_time + (first + row) * s->gates_row + unit;
        REAL *delta = s->delta + t * s->delta_time + (first + row) * s->delta_row + unit;
        for (int v = 0; v < vectors; v++)
            for (int gate = 0; gate < 4; gate++) {
                __builtin_prefetch(gates + gate * s->size + v * LANES, 0);
                __builtin_prefetch(delta + gate * s->size + v * LANES, 1);
            }
    }
    const REAL *later = s->later + first * s->padded;
    NAME(multiply)(rows, vectors, inner, later, s->padded, 1, packed, vectors * LANES, sums);
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            Size r = first + row, at = unit + v * LANES, n = s->size;
            const REAL *gates = s->gates + t * s->gates_time + r * s->gates_row + at;
            const REAL *cell = s->cells + t * s->cells_time + r * s->cells_row + at;
            REAL *carried = s->carried + r * n + at, *now = s->now + r * s->padded + at;
            REAL *delta = s->delta + t * s->delta_time + r * s->delta_row + at;
            if (t < s->starts[r] || s->ends[r] <= t) {
                STORE(carried, ALL(0));
                for (int gate = 0; gate < 4; gate++) {
                    STORE(delta + gate * n, ALL(0));
                    STORE(now + gate * n, ALL(0));
                }
                continue;
            }
            Vec i = LOAD(gates), f = LOAD(gates + n), g = LOAD(gates + 2 * n), o = LOAD(gates + 3 * n);
            Vec tanh_c = NAME(tangent)(LOAD(cell));
            Vec dh = sums[row][v] + LOAD(s->d_hidden + t * s->d_hidden_time + r * s->d_hidden_row + at);
            Vec dc = dh * o * (ALL(1) - tanh_c * tanh_c);
            if (inner) dc += LOAD(carried);
            if (s->d_cells) dc += LOAD(s->d_cells + t * s->d_cells_time + r * s->d_cells_row + at);
            STORE(carried, dc * f);
            Vec of_i = dc * g * (i * (ALL(1) - i));
            Vec of_f = ALL(0);
            if (t) of_f += dc * LOAD(cell - s->cells_time) * (f * (ALL(1) - f));
            Vec of_g = dc * i * (ALL(1) - g * g);
            Vec of_o = dh * tanh_c * (o * (ALL(1) - o));
            STORE(delta, of_i);
            STORE(delta + n, of_f);
            STORE(delta + 2 * n, of_g);
            STORE(delta + 3 * n, of_o);
            STORE(now, of_i);
            STORE(now + n, of_f);
            STORE(now + 2 * n, of_g);
            STORE(now + 3 * n, of_o);
        }
}

INLINE void NAME(backward_block)(int vectors, const Back *s, Size rows, Size unit, Size t,
                                 const REAL *packed) {
    Size row = 0;
    for (; row + ROWS <= rows; row += ROWS) NAME(backward_tile)(ROWS, vectors, s, row, unit, t, packed);
    for (; row + 2 <= rows; row += 2) NAME(backward_tile)(2, vectors, s, row, unit, t, packed);
    for (; row < rows; row++) NAME(backward_tile)(1, vectors, s, row, unit, t, packed);
}

/* `packed`: recurrent weights as [size / (vectors LANES)][4 size][vectors LANES], vectors 4 or 1;
   `room`: rows (9 size + 2 LANES) numbers. */
void NAME(backward)(Size times, Size rows, Size size, Size vectors, const Size *starts, const Size *ends,
                    const REAL *gates, Size gates_time, Size gates_row,
                    const REAL *cells, Size cells_time, Size cells_row,
                    const REAL *d_hidden, Size d_hidden_time, Size d_hidden_row,
                    const REAL *d_cells, Size d_cells_time, Size d_cells_row, const REAL *packed,
                    REAL *delta, Size delta_time, Size delta_row, REAL *room) {
    Size padded = 4 * size + LANES;
    for (Size t = times - 1; t >= 0; t--) {
        Back s = {gates, gates_time, gates_row, cells, cells_time, cells_row,
                  d_hidden, d_hidden_time, d_hidden_row, d_cells, d_cells_time, d_cells_row,
                  delta, delta_time, delta_row, room + (t % 2) * rows * padded,
                  room + (1 - t % 2) * rows * padded, room + 2 * rows * padded, starts, ends,
                  times, padded, size};
        for (Size unit = 0; unit < size; unit += vectors * LANES) {
            const REAL *of = packed + unit * 4 * size;
            if (vectors == 4) NAME(backward_block)(4, &s, rows, unit, t, of);
            else NAME(backward_block)(1, &s, rows, unit, t, of);
        }
    }
}
#undef Back

INLINE double NAME(product_tile)(int rows, int vectors, Size inner, const REAL *delta, Size delta_step,
                                 const REAL *x, Size x_step, REAL *out, Size out_step) {
    Vec sums[ROWS][4], squares = ALL(0);
    double total = 0;
    NAME(multiply)(rows, vectors, inner, delta, 1, delta_step, x, x_step, sums);
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            STORE(out + row * out_step + v * LANES, sums[row][v]);
            squares += sums[row][v] * sums[row][v];
        }
    for (int lane = 0; lane < LANES; lane++) total += squares[lane];
    return total;
}

INLINE double NAME(product_block)(int vectors, Size height, Size inner, const REAL *delta, Size delta_step,
                                  const REAL *x, Size x_step, REAL *out, Size out_step) {
    double total = 0;
    Size m = 0;
    for (; m + ROWS <= height; m += ROWS, out += ROWS * out_step)
        total += NAME(product_tile)(ROWS, vectors, inner, delta + m, delta_step, x, x_step, out, out_step);
    for (; m < height; m++, out += out_step)
        total += NAME(product_tile)(1, vectors, inner, delta + m, delta_step, x, x_step, out, out_step);
    return total;
}

/* out = delta^T x; returns the sum of its squares. delta: (inner, height), x: (inner, width), out: (height,
   width); the steps are those from row to row. width: a multiple of LANES. */
double NAME(product)(Size inner, Size height, Size width, const REAL *delta, Size delta_step, const REAL *x,
                     Size x_step, REAL *out, Size out_step) {
    double total = 0;
    Size n = 0;
    for (; n + 4 * LANES <= width; n += 4 * LANES)
        total += NAME(product_block)(4, height, inner, delta, delta_step, x + n, x_step, out + n, out_step);
    for (; n < width; n += LANES)
        total += NAME(product_block)(1, height, inner, delta, delta_step, x + n, x_step, out + n, out_step);
    return total;
}

typedef REAL NAME(Small) __attribute__((vector_size(16)));
#define Small NAME(Small)

INLINE REAL NAME(add_lanes)(Vec v) {
    union { Vec all; Small parts[BYTES / 16]; } in = {v};
    Small sum = in.parts[0];
#pragma GCC unroll 4
    for (int part = 1; part < BYTES / 16; part++) sum += in.parts[part];
    REAL total = sum[0] + sum[1];
    for (Size j = 2; j < 16 / (Size)sizeof(REAL); j += 2) total += sum[j] + sum[j + 1];
    return total;
}

INLINE REAL NAME(largest)(Vec v) {
    union { Vec all; Small parts[BYTES / 16]; } in = {v};
    Small most = in.parts[0];
#pragma GCC unroll 4
    for (int part = 1; part < BYTES / 16; part++)
        for (Size j = 0; j < 16 / (Size)sizeof(REAL); j++)
            most[j] = most[j] > in.parts[part][j] ? most[j] : in.parts[part][j];
    REAL largest = most[0] > most[1] ? most[0] : most[1];
    for (Size j = 2; j < 16 / (Size)sizeof(REAL); j++) largest = largest > most[j] ? largest : most[j];
    return largest;
}

/* weight * (softmax less the target) in place of the outputs of each item; returns the weighted sum of the
   cross-entropies. `padded`: a multiple of LANES, what is beyond `classes` becomes 0. One loop for each step:
   the processor works on several items at a time, as it could not on all steps of one. Returns 0 if a label is
   none. */
INLINE int NAME(softmax)(Size items, Size classes, Size padded, REAL *outputs, const long long *labels,
                         const REAL *weights, REAL *most, REAL *sums, double *loss) {
    for (Size i = 0; i < items; i++) {
        REAL *row = outputs + i * padded;
        if (labels[i] < 0 || labels[i] >= classes) return 0;
        for (Size c = classes; c < padded; c++) row[c] = -__builtin_inf();
        Vec large = LOAD(row);
        for (Size c = LANES; c < padded; c += LANES)
            large = NAME(choose)((Ints)(LOAD(row + c) > large), LOAD(row + c), large);
        most[i] = NAME(largest)(large);
    }
    for (Size i = 0; i < items; i++) {
        REAL *row = outputs + i * padded, of_target = row[labels[i]] - most[i];
        Vec sum = ALL(0);
        for (Size c = 0; c < padded; c += LANES) {
            Vec e = NAME(exponential)(LOAD(row + c) - ALL(most[i]));
            STORE(row + c, e);
            sum += e;
        }
        /* exp(-LARGEST) is not 0 */
        for (Size c = classes; c < padded; c++) row[c] = 0;
        sums[i] = NAME(add_lanes)(sum);
        most[i] = of_target;
    }
    for (Size i = 0; i < items; i++) {
        REAL *row = outputs + i * padded;
        Vec share = ALL(weights[i] / sums[i]);
        for (Size c = 0; c < padded; c += LANES) STORE(row + c, LOAD(row + c) * share);
        row[labels[i]] -= weights[i];
        double one = weights[i] * (logarithm(sums[i]) - most[i]);
        if (one - one == 0) *loss += one; /* an infinite one, or none, counts as 0 */
    }
    return 1;
}

/* The same for labels that do not exclude each other: sigmoid less the targets, and the sum of the binary
   cross-entropies max(x, 0) - x t + log(1 + exp(-|x|)). The logarithm of a product is that of the sum. */
INLINE double NAME(sigmoid)(REAL *row, Size classes, Size padded, const REAL *targets, REAL weight) {
    Vec sums = ALL(0), product = ALL(1);
    double logarithms = 0;
    for (Size c = 0; c < padded; c += LANES) {
        REAL given[LANES], outputs[LANES];
        for (Size j = 0; j < LANES; j++) given[j] = c + j < classes ? targets[c + j] : 0;
        for (Size j = 0; j < LANES; j++) outputs[j] = c + j < classes ? row[c + j] : -LARGEST;
        Vec t = LOAD(given), x = LOAD(outputs);
        Ints above = (Ints)(x > ALL(0));
        Vec e = NAME(exponential)(NAME(choose)(above, -x, x));
        sums += NAME(choose)(above, x, ALL(0)) - x * t;
        product *= ALL(1) + e;
        if (c / LANES % 64 == 63 || c + LANES >= padded) { /* up to 2^64 in a lane */
            REAL lanes[LANES];
            STORE(lanes, product);
            double all = 1;
            for (Size j = 0; j < LANES; j++) { /* up to 2^1024 would not do */
                all *= lanes[j];
                if (j % 8 == 7 || j == LANES - 1) logarithms += logarithm(all), all = 1;
            }
            product = ALL(1);
        }
        STORE(row + c, (NAME(choose)(above, ALL(1), e) / (ALL(1) + e) - t) * ALL(weight));
    }
    for (Size c = classes; c < padded; c++) row[c] = 0;
    return NAME(add_lanes)(sums) + logarithms;
}

/* Each owner's clipped gradient of a linear layer, as factors: in place of the outputs, the gradients of the
   outputs times the owner's factor. linear_head.py says what the arguments are and what they guarantee. `room`:
   padded + 2 items numbers. Returns 0 if an owner needs a closer look, and then leaves nothing of use. */
Size NAME(clip)(Size items, Size owners, Size classes, Size padded, Size width, REAL *outputs,
                const long long *labels, const REAL *targets, const REAL *weights, const long long *owner,
                const REAL *products, Size reach, double limit, double unit, double tiny, double largest,
                REAL *room, double *norms, double *bias, double *found) {
    REAL *mass = room, *sizes = mass + padded, *parts = sizes + items;
    double loss = 0;
    for (Size c = 0; c < padded; c++) mass[c] = 0, bias[c] = 0;
    for (Size o = 0; o < owners; o++) norms[o] = 0;
    for (Size i = 0; i < items; i++)
        if (owner[i] < (i ? owner[i - 1] : 0) || owner[i] >= owners) return 0;
    if (labels) {
        if (!NAME(softmax)(items, classes, padded, outputs, labels, weights, sizes, parts, &loss)) return 0;
    } else {
        for (Size i = 0; i < items; i++) {
            double one = NAME(sigmoid)(outputs + i * padded, classes, padded, targets + i * classes, weights[i]);
            one *= weights[i];
            if (one - one == 0) loss += one;
        }
    }
    for (Size i = 0, end = 0; i < items; i++) {
        const REAL *row = outputs + i * padded, *product = products + i * reach;
        while (end < items && owner[end] == owner[i]) end++;
        if (end - i > reach) return 0;
        Vec squares = ALL(0), sums = ALL(0);
        for (Size c = 0; c < padded; c += LANES) {
            Vec here = LOAD(row + c), with = here * ALL(product[0]);
            for (Size k = 1; k < end - i; k++) with += LOAD(row + k * padded + c) * ALL(product[k]);
            squares += here * here;
            sums += here * with;
        }
        sizes[i] = NAME(add_lanes)(squares);
        parts[i] = NAME(add_lanes)(sums);
    }
    for (Size first = 0, end; first < items; first = end) {
        double squared = 0, sum = 0, total = 0;
        for (end = first; end < items && owner[end] == owner[first]; end++) {
            double delta = __builtin_sqrt(sizes[end]), input = __builtin_sqrt(products[end * reach]);
            if (!(delta <= largest && input <= largest)) return 0;
            squared += parts[end];
            sum += delta * input;
            total += delta + input + 1;
        }
        double terms = 4 * (double)(end - first) + width;
        double charge = (sum * sum * unit + terms * (total * total) * tiny) * terms;
        if (squared < 0) squared = 0;
        double bound = __builtin_sqrt(squared + charge), factor = limit / (bound > limit ? bound : limit);
        if (!(bound <= largest * largest)) return 0;
        norms[owner[first]] = __builtin_sqrt(squared);
        for (Size i = first; i < end; i++) parts[i] = (REAL)factor;
    }
    for (Size i = 0; i < items; i++) {
        REAL *row = outputs + i * padded, input = (REAL)__builtin_sqrt(products[i * reach]);
        for (Size c = 0; c < padded; c += LANES) {
            Vec clipped = LOAD(row + c) * ALL(parts[i]);
            STORE(row + c, clipped);
            Vec size = NAME(choose)((Ints)(clipped < ALL(0)), -clipped, clipped);
            STORE(mass + c, LOAD(mass + c) + size * ALL(input));
            for (Size j = c; j < c + LANES; j++) bias[j] += row[j];
        }
    }
    double squares = 0;
    for (Size c = 0; c < padded; c++) squares += (double)mass[c] * mass[c];
    found[0] = loss;
    found[1] = __builtin_sqrt(squares);
    return 1;
}

#ifdef TWICE
#undef TWICE
#undef REAL
#undef WHOLE
#undef NAME
#undef MAGIC
#undef LARGEST
#undef EXPONENT_BIAS
#undef MANTISSA
#undef LN2_HIGH
#undef LN2_LOW
#undef TERMS
#undef LANES
#undef Vec
#undef Small
#undef Ints
#undef LOAD
#undef STORE
#undef ALL
#define REAL double
#define WHOLE long long
#define NAME(x) PASTE(x, _float64)
#define MAGIC 6755399441055744.0
#define LARGEST 708.0
#define EXPONENT_BIAS 1023
#define MANTISSA 52
#define LN2_HIGH 6.93145751953125E-1
#define LN2_LOW 1.42860682030941723212E-6
#define TERMS 14
#include "kernel.c"
#endif
