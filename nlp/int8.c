/* The layers of BERT (Devlin et al. 2019) with linear layers in int8: a plain function on rows of numbers.

   For x86-64 with AVX-512 and VNNI, compiled by deploy/build_kernel.py, without Python or torch. Where the
   processor has AMX, its tiles compute the same products. int8.py has the layout of the weights. What is
   computed for a row depends on the rows of its own sequence only: the sums of products are whole numbers,
   hence exact, and what is in floating point is added in an order that the sequence alone determines. */

#include <stddef.h>
#include <stdint.h>
#include <immintrin.h>
#if defined(__linux__) && !defined(__clang__) && __GNUC__ >= 11
#define AMX 1
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
#define ROWS 6   /* rows and vectors of columns that a product computes together */
#define PANELS 4
#define GROUP 8  /* rows of attention that are computed together */
#define BLOCK 64 /* rows that go through the wide half of a layer together */
#define TILES 32 /* rows and columns that two tiles of AMX each way compute together */
#define DEPTH 64 /* numbers of a row in a tile */

typedef ptrdiff_t Size;
typedef float Vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef int32_t Four __attribute__((aligned(1), may_alias));
typedef float Half __attribute__((vector_size(32)));
typedef float Quarter __attribute__((vector_size(16)));
const char lexveil_kernel_source[] = SOURCE; /* the digest of this file */

#define LOAD(p) (*(const Vec *)(p))
#define STORE(p, v) (*(Vec *)(p) = (v))
INLINE Vec all(float x) { return x - (Vec){0}; }
INLINE Vec choose(Ints which, Vec a, Vec b) { return (Vec)(((Ints)a & which) | ((Ints)b & ~which)); }
INLINE Vec least(Vec a, Vec b) { return choose((Ints)(a < b), a, b); }
INLINE Vec most(Vec a, Vec b) { return choose((Ints)(a > b), a, b); }

INLINE float add_lanes(Vec v) {
    union { Vec whole; Half half[2]; } a = {v};
    union { Half whole; Quarter half[2]; } b = {a.half[0] + a.half[1]};
    Quarter c = b.half[0] + b.half[1];
    return (c[0] + c[2]) + (c[1] + c[3]);
}
INLINE float most_lane(Vec v) { return _mm512_reduce_max_ps((__m512)v); }

/* exp(x) for x <= 0: 2^n times a polynomial of |r| <= ln(2) / 2; relative error below 1e-6. */
INLINE Vec exponential(Vec x) {
    x = choose((Ints)(x < all(-87.0f)), all(-87.0f), x);
    Vec shifted = x * all(1.44269504f) + all(12582912.0f);
    Vec n = shifted - all(12582912.0f);
    Vec r = x - n * all(0.693359375f);
    r = r - n * all(-2.12194440e-4f);
    Vec sum = all(1.0f / 720);
    sum = sum * r + all(1.0f / 120);
    sum = sum * r + all(1.0f / 24);
    sum = sum * r + all(1.0f / 6);
    sum = sum * r + all(0.5f);
    sum = sum * r + all(1.0f);
    sum = sum * r + all(1.0f);
    Ints power = ((Ints)shifted - (Ints)all(12582912.0f) + 127) << 23;
    return sum * (Vec)power;
}

/* x times the normal distribution's cumulative function: 1/2 + x P(x^2) within +-4.5; error below 4e-5. */
INLINE Vec gelu(Vec x) {
    static const float terms[] = {0.15690212f, -0.07717196f, 0.054818567f, -0.040555768f, 0.027629403f,
                                  -0.016744049f, 0.012208523f, -0.0093285348f, 0.0033536903f};
    Vec c = least(most(x, all(-4.5f)), all(4.5f));
    Vec t = c * c * all(2.0f / 20.25f) - all(1.0f);
    Vec sum = all(terms[8]);
#pragma GCC unroll 8
    for (int k = 7; k >= 0; k--) sum = sum * t + all(terms[k]);
    return x * (all(0.5f) + c * sum);
}

typedef struct {
    Size in, out;
    const int8_t *packed; /* [out / 16][in / 4][16][4] */
    const float *scale, *sums, *bias;
} Linear;

/* Rows of bytes, each number being least + step * byte. */
typedef struct {
    uint8_t *bytes;
    float *step, *least;
} Rows;

INLINE void quantize(const float *row, Size width, const Rows *to, Size at) {
    Vec low = LOAD(row), high = low;
    for (Size k = LANES; k < width; k += LANES) {
        Vec x = LOAD(row + k);
        low = least(low, x);
        high = most(high, x);
    }
    float from = -most_lane(-low), range = most_lane(high) - from;
    float inverse = range > 0 ? 255.0f / range : 0.0f;
    for (Size k = 0; k < width; k += LANES) {
        Ints whole = (Ints)((LOAD(row + k) - all(from)) * all(inverse) + all(12582912.0f));
        *(Bytes *)(to->bytes + at * width + k) = __builtin_convertvector(whole & 255, Bytes);
    }
    to->step[at] = range / 255.0f;
    to->least[at] = from;
}

INLINE void multiply(int rows, int panels, Size in, const uint8_t *x, const int8_t *packed,
                     Ints sums[ROWS][PANELS]) {
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < panels; p++) sums[r][p] = (Ints){0};
    for (Size k = 0; k < in; k += 4) {
        __m512i of[PANELS];
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) of[p] = _mm512_loadu_si512(packed + p * in * LANES + k * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m512i factor = _mm512_set1_epi32(*(const Four *)(x + r * in + k));
#pragma GCC unroll 4
            for (int p = 0; p < panels; p++)
                sums[r][p] = (Ints)_mm512_dpbusd_epi32((__m512i)sums[r][p], factor, of[p]);
        }
    }
}

enum { PLAIN, GELU, ADDED };

/* Puts the sums of products of a row and 16 columns to their place as numbers. */
INLINE void finish(int then, const Linear *l, Size column, const Rows *x, Size row, Ints sums, float *to) {
    Vec y = __builtin_convertvector(sums, Vec) * all(x->step[row]);
    y = y + all(x->least[row]) * LOAD(l->sums + column);
    y = y * LOAD(l->scale + column) + LOAD(l->bias + column);
    float *place = to + row * l->out + column;
    if (then == GELU) y = gelu(y);
    if (then == ADDED) y = y + LOAD(place);
    STORE(place, y);
}

INLINE void tile(int rows, int panels, int then, const Linear *l, Size column, const Rows *x, Size row,
                 float *to) {
    Ints sums[ROWS][PANELS];
    multiply(rows, panels, l->in, x->bytes + row * l->in, l->packed + column * l->in, sums);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) finish(then, l, column + p * LANES, x, row + r, sums[r][p], to);
}

/* Whether products are computed by tiles of AMX, for which the system must be asked once. */
static int tiled;

int use_tiles(int wanted) {
    tiled = 0;
#ifdef AMX
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* of arch_prctl */
    __builtin_cpu_init();
    tiled = wanted && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") &&
            syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#endif
    return tiled;
}

#ifdef AMX
#define FOR_TILES __attribute__((target("amx-tile,amx-int8"), noinline)) static

FOR_TILES void begin_tiles(void) {
    /* Constant: the compiler does not see that all of it is read. */
    static const struct { uint8_t palette, zero[15]; uint16_t bytes[16]; uint8_t rows[16]; } shape = {
        1, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&shape);
}

FOR_TILES void end_tiles(void) { _tile_release(); }

/* Sums of 32 rows and two panels of columns: [2][2][16][16]. Exact, as those of `multiply`. */
FOR_TILES void multiply_tiles(Size in, const uint8_t *x, const int8_t *packed, Ints *sums) {
    __asm__ volatile("" ::: "memory"); /* nor that the tiles read the rows */
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (Size k = 0; k < in; k += DEPTH) {
        _tile_loadd(4, x + k, in);
        _tile_loadd(5, x + LANES * in + k, in);
        _tile_loadd(6, packed + k * LANES, DEPTH);
        _tile_loadd(7, packed + (in + k) * LANES, DEPTH);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, sums, DEPTH);
    _tile_stored(1, sums + LANES, DEPTH);
    _tile_stored(2, sums + 2 * LANES, DEPTH);
    _tile_stored(3, sums + 3 * LANES, DEPTH);
}

/* Returns 1 if the product is computed. The last tiles read what lies behind the rows, to no effect. */
INLINE int product_by_tiles(int then, const Linear *l, const Rows *x, Size rows, float *to) {
    if (!tiled || l->in % DEPTH || l->out % TILES) return 0;
    Ints sums[4 * LANES];
    for (Size column = 0; column < l->out; column += TILES)
        for (Size first = 0; first < rows; first += TILES) {
            multiply_tiles(l->in, x->bytes + first * l->in, l->packed + column * l->in, sums);
            Size some = rows - first < TILES ? rows - first : TILES;
            for (Size r = 0; r < some; r++) {
                const Ints *of = sums + r / LANES * 2 * LANES + r % LANES;
                finish(then, l, column, x, first + r, of[0], to);
                finish(then, l, column + LANES, x, first + r, of[LANES], to);
            }
        }
    return 1;
}
#else
INLINE int product_by_tiles(int then, const Linear *l, const Rows *x, Size rows, float *to) { return 0; }
INLINE void begin_tiles(void) {}
INLINE void end_tiles(void) {}
#endif

INLINE void product(int then, const Linear *l, const Rows *x, Size rows, float *to) {
    if (product_by_tiles(then, l, x, rows, to)) return;
    Size column = 0;
    for (; column + PANELS * LANES <= l->out; column += PANELS * LANES) {
        Size row = 0;
        for (; row + ROWS <= rows; row += ROWS) tile(ROWS, PANELS, then, l, column, x, row, to);
        for (; row + 2 <= rows; row += 2) tile(2, PANELS, then, l, column, x, row, to);
        for (; row < rows; row++) tile(1, PANELS, then, l, column, x, row, to);
    }
    for (; column < l->out; column += LANES)
        for (Size row = 0; row < rows; row++) tile(1, 1, then, l, column, x, row, to);
}

INLINE void normalize(float *row, Size width, const float *gain, const float *shift, float epsilon) {
    Vec sum = all(0), squares = all(0);
    for (Size k = 0; k < width; k += LANES) sum += LOAD(row + k);
    Vec mean = all(add_lanes(sum) / (float)width);
    for (Size k = 0; k < width; k += LANES) {
        Vec d = LOAD(row + k) - mean;
        squares += d * d;
    }
    float scale = 1.0f / __builtin_sqrtf(add_lanes(squares) / (float)width + epsilon);
    for (Size k = 0; k < width; k += LANES)
        STORE(row + k, (LOAD(row + k) - mean) * all(scale) * LOAD(gain + k) + LOAD(shift + k));
}

/* Products of rows (of `step`) with two vectors of columns of a matrix `count` high (rows of `width`). */
INLINE void add_products(int rows, Size count, const float *x, Size step, const float *matrix, Size width,
                         Vec sums[GROUP][2]) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = all(0);
    for (Size k = 0; k < count; k++) {
        Vec a = LOAD(matrix + k * width), b = LOAD(matrix + k * width + LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            Vec factor = all(x[r * step + k]);
            sums[r][0] += factor * a;
            sums[r][1] += factor * b;
        }
    }
}

/* One head over `rows` queries of a sequence. q: rows of `step`; keys: transposed, [size][padded]; values:
   [length][size]; to: rows of `to_step`; scores: [GROUP][padded]. */
INLINE void attend_rows(int rows, Size size, Size length, Size padded, const float *q, Size step,
                        const float *keys, const float *values, float *scores, float *to, Size to_step) {
    Vec sums[GROUP][2];
    for (Size key = 0; key < padded; key += 2 * LANES) {
        add_products(rows, size, q, step, keys + key, padded, sums);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            STORE(scores + r * padded + key, sums[r][0]);
            STORE(scores + r * padded + key + LANES, sums[r][1]);
        }
    }
    float total[GROUP];
    for (int r = 0; r < rows; r++) {
        float *row = scores + r * padded;
        for (Size key = length; key < padded; key++) row[key] = -1e30f;
        Vec high = LOAD(row), sum = all(0);
        for (Size key = LANES; key < padded; key += LANES) high = most(high, LOAD(row + key));
        Vec top = all(most_lane(high));
        for (Size key = 0; key < padded; key += LANES) {
            Vec e = exponential(LOAD(row + key) - top);
            sum += e;
            STORE(row + key, e);
        }
        total[r] = 1.0f / add_lanes(sum);
    }
    for (Size unit = 0; unit < size; unit += 2 * LANES) {
        add_products(rows, length, scores, padded, values + unit, size, sums);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            STORE(to + r * to_step + unit, sums[r][0] * all(total[r]));
            STORE(to + r * to_step + unit + LANES, sums[r][1] * all(total[r]));
        }
    }
}

/* All heads of one sequence. qkv: rows of 3 width: queries, which are scaled already, keys, values. */
INLINE void attend(Size length, Size width, Size heads, const float *qkv, float *room, float *to) {
    Size size = width / heads, padded = (length + 2 * LANES - 1) / (2 * LANES) * (2 * LANES);
    Size step = 3 * width;
    float *keys = room, *values = keys + size * padded, *scores = values + size * padded;
    for (Size head = 0; head < heads; head++) {
        const float *q = qkv + head * size, *k = q + width, *v = k + width;
        for (Size row = 0; row < padded; row++)
            for (Size unit = 0; unit < size; unit++)
                keys[unit * padded + row] = row < length ? k[row * step + unit] : 0.0f;
        /* Copied: rows of `step` share few lines of the first cache, and evict each other. */
        for (Size row = 0; row < length; row++)
            for (Size unit = 0; unit < size; unit += LANES)
                STORE(values + row * size + unit, LOAD(v + row * step + unit));
        Size row = 0;
        for (; row < length; row += length < GROUP ? 1 : GROUP) {
            if (length < GROUP) {
                attend_rows(1, size, length, padded, q + row * step, step, keys, values, scores,
                            to + row * width + head * size, width);
                continue;
            }
            Size first = row + GROUP <= length ? row : length - GROUP; /* some rows twice, to the same end */
            attend_rows(GROUP, size, length, padded, q + first * step, step, keys, values, scores,
                        to + first * width + head * size, width);
        }
    }
}

INLINE Linear take_linear(const char **at, Size in, Size out) {
    Linear l = {in, out, (const int8_t *)*at, 0, 0, 0};
    *at += in * out;
    l.scale = (const float *)*at;
    l.sums = l.scale + out;
    l.bias = l.sums + out;
    *at += 3 * out * (Size)sizeof(float);
    return l;
}

INLINE const float *take_floats(const char **at, Size count) {
    const float *found = (const float *)*at;
    *at += count * (Size)sizeof(float);
    return found;
}

/* Whether this processor, and its system, run the other functions. */
int runs_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

/* How many bytes `read_rows` needs beside the rows. */
Size count_bytes(Size rows, Size longest, Size width, Size wide, Size heads) {
    Size padded = longest + 2 * LANES;
    Size floats = rows * 4 * width + BLOCK * wide + (2 * (width / heads) + GROUP) * padded + 4 * rows;
    return floats * (Size)sizeof(float) + (rows + TILES) * (width > wide ? width : wide);
}

/* Puts the hidden states of the last layer in place of the embeddings. ends: where each sequence ends. */
void read_rows(Size count, const Size *ends, Size layers, Size width, Size wide, Size heads, float epsilon,
               const char *weights, float *hidden, char *room) {
    Size rows = ends[count - 1];
    float *qkv = (float *)room, *attended = qkv + rows * 3 * width, *middle = attended + rows * width;
    Rows x = {0, middle + BLOCK * wide, middle + BLOCK * wide + rows};
    float *of_attention = x.least + rows;
    Size longest = 0;
    for (Size s = 0, start = 0; s < count; start = ends[s++])
        longest = ends[s] - start > longest ? ends[s] - start : longest;
    x.bytes = (uint8_t *)(of_attention + (2 * (width / heads) + GROUP) * (longest + 2 * LANES));
    const float *gain = take_floats(&weights, width), *shift = take_floats(&weights, width);
    if (tiled) begin_tiles();
    for (Size row = 0; row < rows; row++) {
        normalize(hidden + row * width, width, gain, shift, epsilon);
        quantize(hidden + row * width, width, &x, row);
    }
    for (Size layer = 0; layer < layers; layer++) {
        Linear in = take_linear(&weights, width, 3 * width), out = take_linear(&weights, width, width);
        gain = take_floats(&weights, width), shift = take_floats(&weights, width);
        Linear up = take_linear(&weights, width, wide), down = take_linear(&weights, wide, width);
        product(PLAIN, &in, &x, rows, qkv);
        for (Size s = 0, start = 0; s < count; start = ends[s++])
            attend(ends[s] - start, width, heads, qkv + start * 3 * width, of_attention,
                   attended + start * width);
        for (Size row = 0; row < rows; row++) quantize(attended + row * width, width, &x, row);
        product(ADDED, &out, &x, rows, hidden);
        for (Size row = 0; row < rows; row++) normalize(hidden + row * width, width, gain, shift, epsilon);
        gain = take_floats(&weights, width), shift = take_floats(&weights, width);
        for (Size first = 0; first < rows; first += BLOCK) {
            Size some = rows - first < BLOCK ? rows - first : BLOCK;
            float *part = hidden + first * width;
            for (Size row = 0; row < some; row++) quantize(part + row * width, width, &x, row);
            product(GELU, &up, &x, some, middle);
            for (Size row = 0; row < some; row++) quantize(middle + row * wide, wide, &x, row);
            product(ADDED, &down, &x, some, part);
            for (Size row = 0; row < some; row++) normalize(part + row * width, width, gain, shift, epsilon);
        }
        if (layer + 1 < layers)
            for (Size row = 0; row < rows; row++) quantize(hidden + row * width, width, &x, row);
    }
    if (tiled) end_tiles();
}
