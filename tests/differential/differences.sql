-- What differs from Postgres, and why. Each line must differ: one that doesn't any more leaves this file.

-- The elements of an array have one scale, and a numeric's text as many zeros.
ARRAY[1, 2.5]
ARRAY[i, n]::text
array_to_string(ARRAY[1.50, 2], ' ')

-- A value that is cast to char(n) keeps no blanks at its end.
ARRAY[c]
octet_length('ab'::char(5))

-- varchar and text are one type here, so a char(n) is compared with both as with a text.
c < vc
c = vc
vc = c

-- A quotient has 20 to 24 digits behind the point.
n / 3 = 3.3333333333333333

-- The rules of this zone before 1967 are those of New York.
tz AT TIME ZONE 'EST5EDT'

-- TRY_CAST makes NULL of what can't be cast: ours. The parser accepts these other spellings, which mean the same.
TRY_CAST(t AS int)
[1, 2]
i = 1 = bo
i == 1
i > 1 = true
t == 'apple'
