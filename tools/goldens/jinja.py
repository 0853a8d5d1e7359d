"""Makes tests/data/jinja/jinja.jsonl: templates, variables, and what jinja2, set up as Transformers sets it up, renders.

    python tools/goldens/jinja.py OUT_FILE        (needs jinja2)
"""
import json
import sys

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception

U, A, S = (lambda c: {"role": "user", "content": c}), (lambda c: {"role": "assistant", "content": c}), (lambda c: {"role": "system", "content": c})
TOOL = {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Bern"}}}]}
TALKS = [
    [U("Hi")], [S("Be brief."), U("What is 2+2?"), A("4"), U("And é中🙂?")],
    [U([{"type": "image"}, {"type": "text", "text": "What is <this>?"}]), A([{"type": "text", "text": "A cat."}]), U("  sure?  \n")],
    [S("x"), U("call"), CALL, {"role": "tool", "name": "weather", "content": "{\"sun\": 1}"}, A("Sunny.")],
    [U("think"), A("<think>\nhm\n</think>\n\nYes."), U("ok")],
]
TEMPLATES = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + (m.content if m.content is string else m.content | map(attribute='text', default='') | join(' ')) + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "system first": "{%- if messages[0].role == 'system' %}\n    {%- set system = messages[0]['content'] | trim %}\n    {%- set rest = messages[1:] %}\n{%- else %}\n    {%- set system = '' %}\n    {%- set rest = messages %}\n{%- endif %}\n{{- bos_token -}}\n{%- for message in rest %}\n    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) and message.role in ['user', 'assistant'] %}\n        {{- raise_exception('roles must alternate') }}\n    {%- endif %}\n    {{- '[INST] ' if message.role == 'user' else ' ' }}{{ system + '\\n\\n' if system and loop.first else '' }}{{ message.content | string | trim }}{{ ' [/INST]' if message.role == 'user' else eos_token }}\n{%- endfor %}",
    "headers": "{{ bos_token }}{% for message in messages %}{% set content = '<|h|>' + message['role'] + '<|/h|>\\n\\n' + message['content'] | string | trim + '<|eot|>' %}{% if loop.index0 == 0 %}{% set content = '>>' + content %}{% endif %}{{ content }}{% endfor %}",
    "tools": "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- if messages[0].role == 'system' %}\n        {{- messages[0].content + '\\n\\n' }}\n    {%- endif %}\n    {{- \"# Tools\\n<tools>\" }}\n    {%- for tool in tools %}\n        {{- \"\\n\" }}\n        {{- tool | tojson }}\n    {%- endfor %}\n    {{- \"\\n</tools><|im_end|>\\n\" }}\n{%- endif %}\n{%- for message in messages %}\n    {%- if message.role == 'assistant' and message.tool_calls is defined %}\n        {%- for call in message.tool_calls %}\n            {%- if call.function %}\n                {%- set call = call.function %}\n            {%- endif %}\n            {{- '<tool_call>{\"name\": \"' ~ call.name ~ '\", \"arguments\": ' ~ (call.arguments if call.arguments is string else call.arguments | tojson) ~ '}</tool_call>' }}\n        {%- endfor %}\n    {%- elif message.role == 'tool' %}\n        {%- if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}{{- '<|tool|>' }}{%- endif %}\n        {{- message.content }}\n    {%- else %}\n        {{- message.role + ': ' ~ message.content }}\n    {%- endif %}\n{%- endfor %}",
    "last query": "{%- set ns = namespace(multi=true, last=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi and message.role == 'user' and message.content is string %}\n        {%- set ns.multi = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n{{ ns.last }}/{{ ns.multi }}\n{%- for message in messages %}\n    {%- if message.role == 'assistant' and message.content is string and '</think>' in message.content %}\n        {%- set reasoning = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}\n        {%- if loop.index0 > ns.last or loop.last %}<{{ reasoning }}>{% endif %}{{ content }}\n    {%- endif %}\n{%- endfor %}",
    "macros": "{% macro show(content, name='x', sep='-') %}\n{% if content is string %}{{ content }}{% elif content is iterable and content is not mapping %}\n{% for part in content %}{% if part.type == 'image' %}<image>{{ sep }}{% else %}{{ part.text }}{% endif %}{% endfor %}{% else %}{{ '' }}{% endif %}({{ name }})\n{% endmacro %}\n{% for m in messages %}{{ m.role | upper }}: {{ show(m.content, name=m.role | title) }}{% endfor %}",
    "call block": "{% macro box(title) %}[{{ title }}: {{ caller(1) }}]{% endmacro %}{% call(n) box('a') %}{{ messages | length + n }}{% endcall %}",
    "white space": "a\n  {% if true %}\n  b\n  {% endif %}\n  {#- c -#}\n  d {%- if true -%} e {% endif +%}\n {% raw %}{{ x }} {% y %}{% endraw %}\n  {%+ if true %}f{% endif %}\n",
    "loops": "{% for i in range(10) if i is odd %}{% if i == 7 %}{% break %}{% elif i == 3 %}{% continue %}{% endif %}{{ loop.index }}:{{ i }}/{{ loop.length }}{{ ',' if not loop.last }}{% else %}none{% endfor %}{% for a, b in {'x': 1, 'y': [2, 3]}.items() %}{{ a }}={{ b }} {{ loop.cycle('o', 'e') }};{% endfor %}{% for x in [] %}{% else %}empty{% endfor %}",
    "blocks": "{% set t %}A {{ messages[0].role }} b{% endset %}{{ t | upper }}{% filter replace('a', 'o') %}banana{% endfilter %}{% set x, y = 1, 'z' %}{{ x ~ y }}",
    "scope": "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "mistake": "{{ messages.foo.bar }}", "raise": "{{ raise_exception('no: ' + messages[0].role) }}",
}
EXPRESSIONS = """1 + 2 * 3 - 4 / 2;7 // 2;-7 // 2;-7 % 3;2 ** 10;2 ** -1;-2 ** 2;7.5 // 2;1e3;1.0;0.1 + 0.2;1e16;1e-5;3 / 1;true and 0 or 'x';not 1 == 2;1 < 2 < 3;1 < 2 > 2;'a' < 'b'
'a' ~ 1 ~ none ~ true;'ab' * 3;[1, 2] + [3];(1, 'b');(1,);[];{};{'a': 1, 'b': [true, none, 1.5, 'it\\'s']};'x' in 'xyz';3 not in [1, 2];'a' in {'a': 1};'%s' ~ 5
'hello world' | title;'hello' | capitalize;' x ' | trim;'xxaxx' | trim('x');'abc' | upper | lower;'a,b,c'.split(',');'a b  c'.split();'a,b,c'.split(',', 1);'a,b,c'.rsplit(',', 1);'-'.join(['a', 'b']);' x '.strip();'xxa'.lstrip('x');'axx'.rstrip('x')
'abc'.startswith('ab');'abc'.endswith(('x', 'c'));'banana'.count('an');'banana'.find('n');'banana'.replace('a', 'o');'banana'.replace('a', 'o', 2);'banana' | replace('an', 'AN');'abc'[1];'abc'[-1];'abc'[5];'abcdef'[1:4];'abcdef'[::-1];'abcdef'[::2];[1, 2, 3][1:];[1, 2, 3][-2:];[1, 2, 3, 4][3:0:-1]
[3, 1, 2] | sort;[3, 1, 2] | sort(reverse=true);['b', 'A', 'c'] | sort;['b', 'A'] | sort(case_sensitive=true);[1, 2, 2, 1] | unique | list;[1, 2, 3] | reverse | list;[1, 2, 3] | sum;[1, 2, 3] | max;[1, 2, 3] | min;[1, 2, 3] | first;[1, 2, 3] | last;[] | first;[1, 2, 3] | length;'é中' | length
[1, 2, 3, 4] | select('even') | list;[1, 2, 3, 4] | reject('odd') | list;[0, 1, '', 'a'] | select | list;[{'a': 1}, {'a': 2}] | map(attribute='a') | list;[{'a': 1}, {}] | map(attribute='a', default=0) | list;['a', 'b'] | map('upper') | join('+');[{'a': 1, 'b': 2}, {'a': 3}] | selectattr('b') | list;[{'a': 1}, {'a': 3}] | selectattr('a', 'gt', 2) | list;[{'a': 1}, {'a': 3}] | rejectattr('a', 'equalto', 3) | list;[1, 2, 3, 4, 5] | batch(2) | list;[1, 2, 3] | batch(2, 0) | list
{'b': 1, 'a': 2} | dictsort;{'b': 1, 'a': 2} | dictsort(by='value');{'b': 1} | items | list;{'a': 1}.get('b', 7);{'a': 1}.get('b');{'a': 1}.keys() | list;{'a': 1}.values() | list;{'a': {'b': 2}}.a.b;{'a': 1}['a'];{'items': 5}['items'];{'a': 1} | length
'5' | int;'5.7' | int;'x' | int;'x' | int(3);5.7 | int;'1.5' | float;'x' | float;3 | string;3.7 | round;2.345 | round(2);2.5 | round;3.2 | round(0, 'ceil') | int;-3 | abs;-1|abs;none | default('d');x | default('d');'' | default('d', true);x | d(1);none is none;x is defined;x is undefined;1 is number;1 is integer;1.0 is float;true is boolean;'a' is string;[1] is sequence;{} is mapping;[1] is iterable;1 is odd;4 is divisibleby 2;4 is divisibleby(3);3 is eq 3;'a' is sameas 'a';1 is in [1, 2];not x is defined;x is not defined
'<a href="x">&\\'</a>' | e;'a\\nb\\n\\nc' | indent;'a\\nb' | indent(2, true);{'b': 1, 'a': [1, 'é', null_value]} | tojson;{'b': 1, 'a': {'c': []}} | tojson(indent=2);[1, 2] | tojson(separators=(',', ':'));{'b': 1, 'a': 2} | tojson(sort_keys=true);'q"\\\\' | tojson;1.5 | tojson;true | tojson;range(3) | list;range(1, 7, 2) | list;range(5, 0, -2) | list;dict(a=1, b='x');'a' if true else 'b';'a' if false;('a' if false) is defined
messages[0].role;messages[-1]['content'];messages | length;messages[0].nothing;messages[5];messages | map(attribute='role') | join(',');(messages | selectattr('role', 'equalto', 'user') | list | first).content;loop is defined;'a' == 'a' and 'b' != 'c';[1, [2, [3]]] | string;"it's";'say "x"';"both ' and \\"";['a\\nb'];'tab\\t' ;'a b c' | wordcount;'\\u00e9';[[1, 2], [3]] | map('sum') | list;[[1, 2], [3]] | map('first') | list;'abc' | list;'abc' | reverse;1 == 1.0;true == 1;'1' == 1;[1] == [1];{'a': 1} == {'a': 1.0};none == false;1 in (1, 2);'' or 'x';0 or none;'x' and 'y';1 if messages else 2;'A'.lower() ~ 'b'.upper() ~ 'cd'.title() ~ 'ef'.capitalize();'12'.isdigit();'a1'.isalpha();'a\\nb'.splitlines();{'a': [1, 2]}.a[1];('x', 'y')[1];{'a': none}.a is none;1 ~ 2;'%' ~ 'x';"a" "b";1_000;3 % 2 == 1 and 2 % 2 == 0;5 is gt 3;[1,2,3]|join('-')|upper;(1 + 2) | string ~ 'x';7 / 2;10 // 3;10 % 3;-3 | abs + 1"""
rows = []


def add(name, template, variables):
    try:
        out = dict(output=env.from_string(template).render(**variables))
    except Exception as error:  # what kind matters less than that there is one
        out = dict(error=type(error).__name__)
    rows.append(dict(name=name, template=template, variables=variables, **out))


for name, template in TEMPLATES.items():
    for i, messages in enumerate(TALKS):
        for tools in (None, [TOOL]) if name == "tools" else (None,):
            add(f"{name} {i}", template, dict(messages=messages, tools=tools, documents=None, add_generation_prompt=i % 2 == 0, bos_token="<s>", eos_token="</s>"))
for line in EXPRESSIONS.split("\n"):
    for expression in line.split(";"):
        add(expression, "{{ " + expression + " }}", dict(messages=TALKS[1], null_value=None))
with open(sys.argv[1], "w") as file:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
print(len(rows), "rows,", sum("error" in r for r in rows), "of them errors")
