/* The values that a kernel reads and writes: float, or with -DBFLOAT16 the upper halves of floats.

`compiled.library_for` puts this in front of a C source. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef BFLOAT16
typedef uint16_t value;

static inline float wide(value x)
{
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* To the nearest, of two to the even one. Adding cannot make a number of what is none: those that a processor makes
have their lower bits clear. */
static inline value narrow(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (value)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#else
typedef float value;

static inline float wide(value x) { return x; }

static inline value narrow(float x) { return x; }
#endif
