/* The part of BLAS that NumPy and its lapack_lite call: dot, axpy, gemv, gemm and syrk, for real and complex numbers of both sizes.
 *
 * One thread, and the same order of additions whatever the machine: results are the same to the bit everywhere. A product of real
 * matrices is blocked as in Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008: parts of both are copied
 * into panels that stay in the cache, and tiles of the result are held in 128-bit vectors. The panels are static, so nothing fails
 * for lack of memory. */
#include <stddef.h>
#include <stdint.h>

namespace {

using Index = ptrdiff_t;
enum Order { ROWS = 101, COLUMNS = 102 };
enum Transpose { PLAIN = 111, TRANSPOSED = 112, CONJUGATED = 113 };

template <typename Real> struct Complex {
    Real re, im;
    Complex() = default;
    Complex(Real re, Real im = 0) : re(re), im(im) {}
    Complex operator*(Complex o) const { return {re * o.re - im * o.im, re * o.im + im * o.re}; }
    Complex operator+(Complex o) const { return {re + o.re, im + o.im}; }
    Complex &operator+=(Complex o) { return *this = *this + o; }
    bool operator==(Complex o) const { return re == o.re && im == o.im; }
};

template <typename T> T conjugate(T x) { return x; }
template <typename T> Complex<T> conjugate(Complex<T> x) { return {x.re, -x.im}; }

/* Two doubles or four floats, wherever they lie. */
template <typename T> struct Vector;
template <> struct Vector<double> { typedef double type __attribute__((vector_size(16), aligned(8))); };
template <> struct Vector<float> { typedef float type __attribute__((vector_size(16), aligned(4))); };

/* A matrix: element (i, j) is at[i * down + j * across]. */
template <typename T> struct Matrix {
    const T *at;
    Index down, across;
    bool conjugated;
    T operator()(Index i, Index j) const {
        T x = at[i * down + j * across];
        return conjugated ? conjugate(x) : x;
    }
    Matrix turned() const { return {at, across, down, conjugated}; }
};

template <typename T> Matrix<T> matrix(const T *at, int order, int transpose, Index leading) {
    Matrix<T> plain{at, leading, 1, transpose == CONJUGATED};
    return (order == ROWS) == (transpose == PLAIN) ? plain : plain.turned();
}

constexpr int TILE_ROWS = 4, DEPTH = 256, BLOCK_ROWS = 64, BLOCK_COLUMNS = 128;

template <typename T> struct Product {
    typedef typename Vector<T>::type V;
    static constexpr int LANES = 16 / sizeof(T), TILE_COLUMNS = 2 * LANES;
    static T left[BLOCK_ROWS * DEPTH], right[BLOCK_COLUMNS * DEPTH];

    /* Copy a block of `count` lines (rows of the left matrix, columns of the right one) into panels of `width` lines, filled up with zeros. */
    static void pack(T *to, Matrix<T> from, Index count, Index depth, int width) {
        for (Index first = 0; first < count; first += width) {
            Index lines = count - first < width ? count - first : width;
            for (Index k = 0; k < depth; k++, to += width) {
                for (int line = 0; line < width; line++) {
                    to[line] = line < lines ? from.at[(first + line) * from.down + k * from.across] : T(0);
                }
            }
        }
    }

    /* A tile of the result, as far as it is inside. */
    static void tile(const T *a, const T *b, Index depth, T alpha, T *c, Index stride, Index rows, Index columns) {
        V sums[TILE_ROWS][2] = {};
#pragma clang loop unroll_count(8)
        for (Index k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_COLUMNS) {
            V b0 = *(const V *)b, b1 = *(const V *)(b + LANES);
            for (int row = 0; row < TILE_ROWS; row++) {
                sums[row][0] += a[row] * b0;
                sums[row][1] += a[row] * b1;
            }
        }
        if (rows == TILE_ROWS && columns == TILE_COLUMNS) {
            for (int row = 0; row < TILE_ROWS; row++) {
                *(V *)(c + row * stride) += alpha * sums[row][0];
                *(V *)(c + row * stride + LANES) += alpha * sums[row][1];
            }
            return;
        }
        for (Index row = 0; row < rows; row++) {
            for (Index column = 0; column < columns; column++) {
                c[row * stride + column] += alpha * sums[row][column / LANES][column % LANES];
            }
        }
    }

    /* C += alpha A B, C by rows. */
    static void add(Index m, Index n, Index k, T alpha, Matrix<T> a, Matrix<T> b, T *c, Index stride) {
        for (Index j0 = 0; j0 < n; j0 += BLOCK_COLUMNS) {
            Index columns = n - j0 < BLOCK_COLUMNS ? n - j0 : BLOCK_COLUMNS;
            for (Index k0 = 0; k0 < k; k0 += DEPTH) {
                Index depth = k - k0 < DEPTH ? k - k0 : DEPTH;
                pack(right, {b.at + k0 * b.down + j0 * b.across, b.across, b.down, false}, columns, depth, TILE_COLUMNS);
                for (Index i0 = 0; i0 < m; i0 += BLOCK_ROWS) {
                    Index rows = m - i0 < BLOCK_ROWS ? m - i0 : BLOCK_ROWS;
                    pack(left, {a.at + i0 * a.down + k0 * a.across, a.down, a.across, false}, rows, depth, TILE_ROWS);
                    for (Index j = 0; j < columns; j += TILE_COLUMNS) {
                        for (Index i = 0; i < rows; i += TILE_ROWS) {
                            Index high = rows - i < TILE_ROWS ? rows - i : TILE_ROWS;
                            Index wide = columns - j < TILE_COLUMNS ? columns - j : TILE_COLUMNS;
                            tile(left + i * depth, right + j * depth, depth, alpha, c + (i0 + i) * stride + j0 + j, stride, high, wide);
                        }
                    }
                }
            }
        }
    }
};
template <typename T> T Product<T>::left[BLOCK_ROWS * DEPTH];
template <typename T> T Product<T>::right[BLOCK_COLUMNS * DEPTH];

template <typename R> struct Product<Complex<R>> {
    typedef Complex<R> T;
    static void add(Index m, Index n, Index k, T alpha, Matrix<T> a, Matrix<T> b, T *c, Index stride) {
        for (Index i = 0; i < m; i++) {
            for (Index p = 0; p < k; p++) {
                T x = alpha * a(i, p);
                for (Index j = 0; j < n; j++) {
                    c[i * stride + j] += x * b(p, j);
                }
            }
        }
    }
};

template <typename T>
void gemm(int order, int transpose_a, int transpose_b, Index m, Index n, Index k, T alpha, const T *a, Index lead_a, const T *b, Index lead_b,
          T beta, T *c, Index stride) {
    Matrix<T> left = matrix(a, order, transpose_a, lead_a), right = matrix(b, order, transpose_b, lead_b);
    if (order == COLUMNS) { /* the transposed product, by rows */
        Matrix<T> before = left;
        left = right.turned();
        right = before.turned();
        Index rows = m;
        m = n;
        n = rows;
    }
    for (Index i = 0; i < m; i++) {
        for (Index j = 0; j < n; j++) {
            T &x = c[i * stride + j];
            x = beta == T(0) ? T(0) : beta == T(1) ? x : beta * x;
        }
    }
    if (!(alpha == T(0))) {
        Product<T>::add(m, n, k, alpha, left, right, c, stride);
    }
}

/* Where a vector starts whose stride is negative: BLAS is given its end. */
template <typename T> T *start(T *x, Index n, Index stride) { return stride < 0 ? x - (n - 1) * stride : x; }

template <typename T> T dot_strided(Index n, const T *x, Index step_x, const T *y, Index step_y, bool conjugated) {
    T sum(0);
    for (Index i = 0; i < n; i++) {
        T left = x[i * step_x];
        sum += (conjugated ? conjugate(left) : left) * y[i * step_y];
    }
    return sum;
}

template <typename R> Complex<R> dot(Index n, const Complex<R> *x, Index step_x, const Complex<R> *y, Index step_y, bool conjugated) {
    return dot_strided(n, start(x, n, step_x), step_x, start(y, n, step_y), step_y, conjugated);
}

template <typename T> T dot(Index n, const T *x, Index step_x, const T *y, Index step_y, bool) {
    if (step_x != 1 || step_y != 1) {
        return dot_strided(n, start(x, n, step_x), step_x, start(y, n, step_y), step_y, false);
    }
    typedef typename Vector<T>::type V;
    constexpr int LANES = 16 / sizeof(T), WIDTH = 8 * LANES;
    V sums[4] = {};
    Index i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        const V *p = (const V *)(x + i), *q = (const V *)(y + i);
        for (int part = 0; part < 8; part++) {
            sums[part % 4] += p[part] * q[part];
        }
    }
    V all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    T sum(0);
    for (int lane = 0; lane < LANES; lane++) {
        sum += all[lane];
    }
    for (; i < n; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

template <typename T> void axpy(Index n, T alpha, const T *x, Index step_x, T *y, Index step_y) {
    x = start(x, n, step_x);
    y = start(y, n, step_y);
    if (step_x == 1 && step_y == 1) {
        for (Index i = 0; i < n; i++) {
            y[i] += alpha * x[i];
        }
        return;
    }
    for (Index i = 0; i < n; i++) {
        y[i * step_y] += alpha * x[i * step_x];
    }
}

template <typename T>
void gemv(int order, int transpose, Index m, Index n, T alpha, const T *a, Index lead, const T *x, Index step_x, T beta, T *y, Index step_y) {
    Matrix<T> left = matrix(a, order, transpose, lead);
    Index rows = transpose == PLAIN ? m : n, columns = transpose == PLAIN ? n : m;
    x = start(x, columns, step_x);
    y = start(y, rows, step_y);
    for (Index i = 0; i < rows; i++) {
        y[i * step_y] = beta == T(0) ? T(0) : beta * y[i * step_y];
    }
    if (left.down == 1 && !left.conjugated) { /* by columns */
        for (Index j = 0; j < columns; j++) {
            axpy(rows, alpha * x[j * step_x], left.at + j * left.across, 1, y, step_y);
        }
        return;
    }
    for (Index i = 0; i < rows; i++) {
        const T *row = left.at + i * left.down;
        T sum = left.across == 1 && step_x == 1 ? dot(columns, row, 1, x, 1, left.conjugated)
                                                : dot_strided(columns, row, left.across, x, step_x, left.conjugated);
        y[i * step_y] += alpha * sum;
    }
}

int transpose_of(const char *letter) {
    return *letter == 'N' || *letter == 'n' ? PLAIN : *letter == 'T' || *letter == 't' ? TRANSPOSED : CONJUGATED;
}

} // namespace

#define API extern "C"

/* Numbers are passed by value where they are real, by address where they are complex. Of syrk's result NumPy reads one triangle;
 * both are written. */
#define ROUTINES(p, T, BY, GET)                                                                                                            \
    API void cblas_##p##axpy(int n, BY a, const T *x, int ix, T *y, int iy) { axpy<T>(n, GET a, x, ix, y, iy); }                            \
    API void cblas_##p##gemv(int o, int t, int m, int n, BY a, const T *A, int l, const T *x, int ix, BY b, T *y, int iy) {                 \
        gemv<T>(o, t, m, n, GET a, A, l, x, ix, GET b, y, iy);                                                                              \
    }                                                                                                                                       \
    API void cblas_##p##gemm(int o, int s, int t, int m, int n, int k, BY a, const T *A, int la, const T *B, int lb, BY b, T *C, int lc) {  \
        gemm<T>(o, s, t, m, n, k, GET a, A, la, B, lb, GET b, C, lc);                                                                       \
    }                                                                                                                                       \
    API void cblas_##p##syrk(int o, int, int t, int n, int k, BY a, const T *A, int la, BY b, T *C, int lc) {                               \
        gemm<T>(o, t, t == PLAIN ? TRANSPOSED : PLAIN, n, n, k, GET a, A, la, A, la, GET b, C, lc);                                         \
    }
#define REAL(p, T)                                                                                                                         \
    ROUTINES(p, T, T, )                                                                                                                    \
    API T cblas_##p##dot(int n, const T *x, int ix, const T *y, int iy) { return dot<T>(n, x, ix, y, iy, false); }                          \
    API int p##gemm_(char *s, char *t, int *m, int *n, int *k, T *a, T *A, int *la, T *B, int *lb, T *b, T *C, int *lc) {                   \
        gemm<T>(COLUMNS, transpose_of(s), transpose_of(t), *m, *n, *k, *a, A, *la, B, *lb, *b, C, *lc);                                     \
        return 0;                                                                                                                           \
    }
#define COMPLEX(p, T)                                                                                                                      \
    ROUTINES(p, T, const T *, *)                                                                                                           \
    API void cblas_##p##dotu_sub(int n, const T *x, int ix, const T *y, int iy, T *r) { *r = dot(n, x, ix, y, iy, false); }                 \
    API void cblas_##p##dotc_sub(int n, const T *x, int ix, const T *y, int iy, T *r) { *r = dot(n, x, ix, y, iy, true); }

REAL(s, float)
REAL(d, double)
COMPLEX(c, Complex<float>)
COMPLEX(z, Complex<double>)
