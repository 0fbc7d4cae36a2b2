/*
 * Floats in the "C" locale: a host program may have set another one, where the
 * decimal point is a comma.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

static locale_t enter_c_locale(locale_t *previous)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c != (locale_t)0)
        *previous = uselocale(c);
    return c;
}

static void leave_c_locale(locale_t c, locale_t previous)
{
    if (c == (locale_t)0)
        return;
    uselocale(previous);
    freelocale(c);
}

bool ptf_number_parse(const char *text, size_t size, double *out)
{
    char copy[64];
    if (size == 0 || size >= sizeof(copy) ||
        strspn(text, "+-.0123456789eE") < size)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';

    locale_t previous = (locale_t)0;
    locale_t c = enter_c_locale(&previous);
    char *end;
    double value = strtod(copy, &end);
    leave_c_locale(c, previous);
    if (*end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}

static bool reads_back(const char *text, double value)
{
    double back = strtod(text, NULL);
    return memcmp(&back, &value, sizeof(value)) == 0;
}

/*
 * Python takes the fewest digits that read back, and writes an exponent when
 * it is below -4 or above 15.
 */
static void shortest_text(double value, char text[32])
{
    int digits = 0;     /* after the first */
    if (isnan(value)) { /* of either sign */
        memcpy(text, "nan", sizeof("nan"));
        return;
    }
    do {
        snprintf(text, 32, "%.*e", digits, value);
    } while (!reads_back(text, value) && ++digits < 17);
    const char *e = strchr(text, 'e');
    long exponent = e != NULL ? strtol(e + 1, NULL, 10) : 0;
    if (exponent < -4 || exponent > 15)
        return;
    int decimals = digits - (int)exponent;
    snprintf(text, 32, "%.*f", decimals > 1 ? decimals : 1, value);
}

void ptf_number_text(double value, char text[32])
{
    locale_t previous = (locale_t)0;
    locale_t c = enter_c_locale(&previous);
    shortest_text(value, text);
    leave_c_locale(c, previous);
}
