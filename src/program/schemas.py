# Writes the table of operator schemas: schemas.py OUTPUT aten_schemas.txt
#
# A line of the list is a schema as PyTorch prints it, str(op._schema):
#   aten::conv2d(Tensor input, ..., SymInt[2] stride=[1, 1]) -> Tensor
#
# SPDX-License-Identifier: Apache-2.0
import json
import re
import sys

LINE = re.compile(r'aten::(\w+)(?:\.(\w+))?\((.*)\) -> (.*)')
ARGUMENT = re.compile(r'(?P<type>\w+)'
                      r'(?:\((?P<alias>\w)(?:\|\w)*(?P<write>!)?[^)]*\))?'
                      r'(?P<element>\?)?(?P<list>\[(?P<size>\d*)\])?'
                      r'(?P<whole>\?)?(?: (?P<name>\w+))?(?:=(?P<value>.*))?')
TYPES = {'Tensor': 'TENSOR', 'int': 'INT', 'SymInt': 'INT', 'float': 'FLOAT',
         'bool': 'BOOL', 'Scalar': 'SCALAR', 'str': 'TEXT',
         'ScalarType': 'DTYPE', 'Device': 'DEVICE', 'Layout': 'LAYOUT',
         'MemoryFormat': 'MEMORY_FORMAT', 'Generator': 'GENERATOR'}
LISTS = ('TENSOR', 'INT', 'FLOAT')  # see list_kinds in fit.c
# PyTorch's numbers in C++, as which it prints defaults.
DTYPES = {'4': 'I64', '6': 'F32'}
MEMORY = {'0': 'CONTIGUOUS', '1': 'PRESERVE', '2': 'CHANNELS_LAST',
          '3': 'CHANNELS_LAST_3D'}


def parts(text):
    """What commas outside of brackets separate."""
    return [p for p in re.split(r',\s*(?![^\[(]*[\])])', text) if p]


def flag(value):
    return 'true' if value else 'false'


def integers(text, size):
    """Elements of a list; one number stands for all of a list of a size."""
    if text.startswith('['):
        return parts(text[1:-1])
    return [text] * int(size)


def default(m):
    """The members of the ptf_argument that a default is."""
    value, kind = m['value'], TYPES[m['type']]
    if value == 'None':
        return '.kind = PTF_ARGUMENT_NONE'
    if m['list'] and kind == 'INT':
        items = integers(value, m['size'])
        if not items:
            return '.kind = PTF_ARGUMENT_INTS'
        rows = ', '.join('{%d, -1}' % int(i) for i in items)
        return ('.kind = PTF_ARGUMENT_INTS, .count = %d, .integers = '
                '(const ptf_argument_int[]){%s}' % (len(items), rows))
    if m['list']:
        raise ValueError('no default of this kind is known: ' + m[0])
    if kind == 'BOOL':
        return '.kind = PTF_ARGUMENT_BOOL, .truth = ' + value.lower()
    if kind == 'TEXT':
        return '.kind = PTF_ARGUMENT_TEXT, .text = ' + json.dumps(
            json.loads(value))
    if kind == 'DTYPE':
        return ('.kind = PTF_ARGUMENT_DTYPE, .dtype = PTF_DTYPE_' +
                DTYPES[value])
    if kind == 'MEMORY_FORMAT':
        return ('.kind = PTF_ARGUMENT_MEMORY_FORMAT, .memory_format = '
                'PTF_MEMORY_' + MEMORY[value])
    if kind == 'FLOAT' or (kind == 'SCALAR' and not value.lstrip('-').isdigit()):
        return '.kind = PTF_ARGUMENT_FLOAT, .number = %r' % float(value)
    if kind in ('INT', 'SCALAR'):
        return '.kind = PTF_ARGUMENT_INT, .integer = %d' % int(value)
    raise ValueError('no default of this kind is known: ' + m[0])


def argument(text, keyword):
    m = ARGUMENT.fullmatch(text)
    if m is None:
        raise ValueError('no argument: ' + text)
    if m['list'] and TYPES[m['type']] not in LISTS:
        raise ValueError('no list of this type is known: ' + text)
    name = json.dumps(m['name'])
    optional = m['whole'] or (m['element'] and not m['list'])
    fields = ['.name = ' + name, '.type = PTF_SCHEMA_' + TYPES[m['type']]]
    for field, value in (('is_list', m['list']), ('is_optional', optional),
                         ('has_optional_elements', m['element'] and m['list']),
                         ('is_keyword', keyword), ('is_written', m['write']),
                         ('has_default', m['value'] is not None)):
        if value:
            fields.append('.%s = true' % field)
    if m['alias']:
        fields.append(".alias = '%s'" % m['alias'])
    if m['size']:
        fields.append('.size = ' + m['size'])
    if m['value'] is not None:
        fields.append('.otherwise = {.name = %s, %s}' % (name, default(m)))
    return '{%s}' % ', '.join(fields)


def arguments(text):
    keyword = False
    for part in parts(text):
        if part == '*':
            keyword = True
        else:
            yield argument(part, keyword)


def results(text):
    text = text[1:-1] if text.startswith('(') else text
    for part in parts(text):
        m = ARGUMENT.fullmatch(part)
        yield "{PTF_SCHEMA_%s, %s, %s, %s}" % (
            TYPES[m['type']], flag(m['list']), flag(m['write']),
            "'%s'" % m['alias'] if m['alias'] else '0')


def array(kind, rows):
    rows = list(rows)
    if not rows:
        return 'NULL', 0
    return ('(const ptf_schema_%s[]){\n        %s}' % (
        kind, ',\n        '.join(rows)), len(rows))


with open(sys.argv[2]) as text:
    found = {}
    for line in text.read().splitlines():
        op, overload, takes, gives = LINE.fullmatch(line).groups()
        target = 'aten.%s.%s' % (op, overload or 'default')
        if target in found:
            raise ValueError('twice: ' + target)
        found[target] = (array('argument', arguments(takes)),
                         array('result', results(gives)))
with open(sys.argv[1], 'w') as out:
    out.write('#include "program/schema.h"\n\n'
              'static const ptf_schema table[] = {\n')
    for target, (takes, gives) in sorted(found.items()):
        out.write('    {"%s",\n     %s,\n     %s,\n     %d, %d},\n' % (
            target, takes[0], gives[0], takes[1], gives[1]))
    out.write('};\n\nconst ptf_schema *ptf_schema_table(size_t *count)\n{\n'
              '    *count = PTF_ARRAY_SIZE(table);\n    return table;\n}\n')
