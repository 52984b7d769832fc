/* Draws of discrete_gaussian.py by its tables, and the noise on a grid of noise.py: the same bits, faster.

   Whole numbers of up to 53 bits in double precision: no sum rounds. Compiled once for each set of instructions
   (deploy/build_kernel.py), without Python. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef ptrdiff_t Size;
const char lexveil_draws_source[] = SOURCE; /* the digest of this file */

/* The tables of a part. What an index of 16 bits stands for, by its first 12 bits, in `blocks`: a value times
   64, plus the last 4 bits of the index that does not decide (smaller ones stand for the value, larger ones for
   the next), or 16 if all stand for the value, or 48 if only `values` tells. */
typedef struct {
    const int32_t *blocks;
    const int16_t *values; /* below `undecided`, minus 1 less the place in the tables below */
    const uint64_t *first, *bound, *leading;
    const int32_t *lowest;
    const uint8_t *many;
    Size bounds, largest, undecided;
} Tables;

/* The value that more bits choose; *tie: these bits are not enough. */
static int32_t decide(const Tables *of, Size place, uint64_t word, int *tie) {
    if (!of->many[place]) {
        *tie |= word == of->bound[place];
        return of->lowest[place] + (word >= of->bound[place]);
    }
    uint64_t leading = of->first[place] << 48 | word >> 16;
    Size low = 0, high = of->bounds; /* the first bound above `leading` */
    while (low < high) {
        Size middle = (low + high) / 2;
        if (of->leading[middle] <= leading) low = middle + 1;
        else high = middle;
    }
    *tie |= of->leading[low ? low - 1 : of->bounds - 1] == leading;
    return (int32_t)(low - of->largest);
}

/* The values of indices; returns for how many `blocks` does not tell, and lists their places. */
static Size look_up(Size count, const uint16_t *indices, const int32_t *blocks, int16_t *values, int32_t *places) {
    Size j = 0, open = 0;
#ifdef __AVX512F__
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i one = _mm512_set1_epi32(1), flag = _mm512_set1_epi32(32);
    for (; j + 16 <= count; j += 16) {
        __m512i index = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(indices + j)));
        __m512i block = _mm512_i32gather_epi32(_mm512_srli_epi32(index, 4), blocks, 4);
        __m512i low = _mm512_and_epi32(index, _mm512_set1_epi32(15));
        __m512i border = _mm512_and_epi32(block, _mm512_set1_epi32(31)), value = _mm512_srai_epi32(block, 6);
        value = _mm512_mask_add_epi32(value, _mm512_cmpgt_epi32_mask(low, border), value, one);
        _mm256_storeu_si256((__m256i *)(values + j), _mm512_cvtepi32_epi16(value));
        __mmask16 some = _mm512_cmpeq_epi32_mask(low, border) | _mm512_test_epi32_mask(block, flag);
        _mm512_mask_compressstoreu_epi32(places + open, some, _mm512_add_epi32(lanes, _mm512_set1_epi32((int)j)));
        open += __builtin_popcount(some);
    }
#endif
    for (; j < count; j++) {
        int32_t index = indices[j], low = index & 15, block = blocks[index >> 4];
        values[j] = (int16_t)((block >> 6) + (low > (block & 31)));
        places[open] = (int32_t)j;
        open += (low == (block & 31)) | (block >> 5 & 1);
    }
    return open;
}

/* Rounds `n` sums to the grid and adds draws, from place `*at` of the part `*part` of the sums on:
   sums = spacing * (rint(sums / spacing) + draw). */
static void add(Size n, const double *draws, double *const *sums, const Size *sizes, double spacing, Size *part,
                Size *at) {
    double inverse = 1 / spacing;
    for (Size j = 0; j < n;) {
        Size some = sizes[*part] - *at < n - j ? sizes[*part] - *at : n - j;
        double *here = sums[*part] + *at;
        for (Size k = 0; k < some; k++) here[k] = (__builtin_rint(here[k] * inverse) + draws[j + k]) * spacing;
        j += some;
        *at += some;
        if (*at == sizes[*part]) *at = 0, ++*part;
    }
}

/* Adds `n` draws to sums as `add` does, from the bits of a stream, in pieces of `piece` draws of `parts` parts;
   returns how many: whole pieces, as far as the `available` bytes reach, and up to one with a tie. *used: bytes
   they took. Room: `draws` for a piece, `values` and `places` for the parts of a piece and one more. */
Size add_draws(Size n, Size piece, Size parts, const uint8_t *stream, Size available, const Tables *of,
               double *draws, int16_t *values, int32_t *places, double *const *sums, const Size *sizes,
               double spacing, Size *part, Size *at, Size *used) {
    Size done = 0;
    *used = 0;
    while (done < n) {
        Size size = n - done < piece ? n - done : piece, count = parts * size, slow = 0;
        const uint8_t *bits = stream + *used;
        if (*used + 2 * count > available) break;
        const uint16_t *indices = (const uint16_t *)bits;
        Size open = look_up(count, indices, of->blocks, values, places);
        for (Size k = 0; k < open; k++) {
            int32_t place = places[k];
            int16_t value = of->values[indices[place]];
            values[place] = value;
            places[slow] = place;
            slow += value < of->undecided;
        }
        if (*used + 2 * count + 8 * slow > available) break;
        int tie = 0;
        for (Size k = 0; k < slow; k++) {
            uint64_t word;
            memcpy(&word, bits + 2 * count + 8 * k, 8);
            int16_t *value = values + places[k];
            *value = (int16_t)decide(of, of->undecided - 1 - *value, word, &tie);
        }
        if (tie) break;
        for (Size j = 0; j < size; j++) draws[j] = values[j];
        double factor = 1;
        for (Size p = 1; p < parts; p++) {
            factor *= 64;
            for (Size j = 0; j < size; j++) draws[j] += factor * values[p * size + j];
        }
        add(size, draws, sums, sizes, spacing, part, at);
        done += size;
        *used += 2 * count + 8 * slow;
    }
    return done;
}
