-- made and shown
by
'\xDEADBEEF'::bytea
'\xde ad'::bytea
'\000\377abc'::bytea
'abc'::bytea
'ä'::bytea
E'\\x00'::bytea
by || ''::bytea
by || '\x00'
'\x01'::bytea || '\x02'::bytea
by || NULL
-- lengths and parts
length(by)
octet_length(by)
bit_length(by)
substr(by, 1, 1)
substr(by, 2)
substring(by FROM 2 FOR 1)
substring(by FROM 0 FOR 2)
substring('\x010203'::bytea FROM 2)
overlay('\x010203'::bytea placing '\xff' from 2)
position('\x00'::bytea in by)
position('\x02'::bytea in '\x010203'::bytea)
trim('\x00'::bytea from by)
trim(both '\x00'::bytea from '\x000100'::bytea)
ltrim('\x000100'::bytea, '\x00')
rtrim('\x000100'::bytea, '\x00')
btrim(by, '\x00ff')
-- bytes and bits
get_byte('\x010203'::bytea, 1)
get_byte('\x010203'::bytea, 3)
set_byte('\x010203'::bytea, 1, 255)
get_bit('\x80'::bytea, 7)
set_bit('\x00'::bytea, 0, 1)
CASE WHEN length(by) > 0 THEN get_byte(by, 0) END
bit_count('\xff0f'::bytea)
get_byte('\x010203'::bytea, -1)
get_bit('\x80'::bytea, 8)
set_bit('\xff'::bytea, 3, 0)
set_bit('\xff'::bytea, 3, 2)
set_byte('\x010203'::bytea, 0, 300)
-- encodings
encode(by, 'hex')
encode(by, 'base64')
encode(by, 'escape')
encode('\x00', 'HEX')
encode(repeat('x', 60)::bytea, 'base64')
encode(by, 'nonsense')
decode('deadbeef', 'hex')
decode('DE AD', 'hex')
decode('abc', 'hex')
decode('zz', 'hex')
decode('3q2+7w==', 'base64')
decode('3q2+7w', 'base64')
decode('a\\b\000', 'escape')
decode(encode(by, 'base64'), 'base64') = by
decode(md5(t), 'hex')
convert_to(t, 'UTF8')
convert_to('ä', 'LATIN1')
convert_from('\xc3a4', 'UTF8')
convert_from('\xe4', 'LATIN1')
convert_from('\xe4', 'UTF8')
convert_from(convert_to(t, 'UTF8'), 'UTF8') = t
encode(repeat('x', 57)::bytea, 'base64')
encode(repeat('x', 58)::bytea, 'base64')
decode('A===', 'base64')
decode('AA==AA==', 'base64')
decode('a\b', 'escape')
decode('\400', 'escape')
convert_from('\x00', 'UTF8')
convert_to('€', 'LATIN1')
-- hashes
md5(by)
sha224(by)
sha256(by)
sha384('abc')
sha512(''::bytea)
encode(sha256(convert_to(t, 'UTF8')), 'hex')
-- compared
by = '\x01'
by < '\x10'
by > '\xff'
by <> ''
by = 'jam'
by IN ('\x01', '\xff')
by BETWEEN '\x00' AND '\x50'
by IS DISTINCT FROM '\x00'
by LIKE '\x68%'
by LIKE 'a%'::bytea
'\x0102'::bytea > '\x01'::bytea
'\x80'::bytea > '\x7f'::bytea
coalesce(by, '\x00')
nullif(by, '')
greatest(by, '\x50'::bytea)
CASE WHEN bo THEN by ELSE 'none' END
