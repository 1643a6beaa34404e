#!/usr/bin/env python3
"""Writes jinja_cases.json: small templates with what Python's Jinja2 (3.1) makes of them.

The environment is the one chat templates are written for: trim_blocks, lstrip_blocks, loop
controls, `do`, and a `tojson` without HTML escapes. Run it in this folder after adding a case.
"""
import datetime
import json

import jinja2
from jinja2.ext import Extension


class Generation(Extension):
    """`{% generation %}` writes its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


class Raised(Exception):
    pass


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


NOW = datetime.datetime(2025, 3, 7, 14, 5, 9)
env = jinja2.Environment(
    trim_blocks=True, lstrip_blocks=True,
    extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do", Generation])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = NOW.strftime

V = {
    "name": "Ada", "n": 7, "x": 2.5, "yes": True, "no": False, "nothing": None, "empty": [],
    "words": ["pear", "Apple", "fig"], "numbers": [3, 1, 2, 3], "text": "  Hello, World  ",
    "d": {"b": 1, "a": {"c": [10, 20, 30]}, "items": 5}, "uni": "naïve 漢字 😀",
    "messages": [
        {"role": "system", "content": "S"}, {"role": "user", "content": "U1"},
        {"role": "assistant", "content": "A1", "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": {"q": "é<&>'\"", "k": 1.0}}}]},
        {"role": "user", "content": "U2"}],
}

T = r'''
plain text
---
{{ name }}
---
{{ undefined_thing }}|{{ d.missing }}|{{ d['missing'] }}
---
{{ none }} {{ true }} {{ false }} {{ None }} {{ True }}
---
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 3 ** 2 }}
---
{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 1e16 }} {{ 123456789012345680.0 }} {{ 0.1 + 0.2 }} {{ 2 ** -1 }} {{ 1_000 }}
---
{{ -n }} {{ +n }} {{ - -n }} {{ -n|abs }} {{ -x|abs }} {{ not n }} {{ not not n }}
---
{{ 'a' ~ 1 ~ none ~ [1, 'b'] ~ 2.0 }}
---
{{ 'a' 'b' "c" }} {{ 'it''s' }} {{ "tab\tnl\\n \x41 \u00e9 \q" }}
---
{{ [1, 'two', 3.0, none, true, [4], (5,), {'k': 'v'}] }}
---
{{ (1, 2) }} {{ () }} {{ (1) }} {{ 1, 2 }}
---
{{ {'a': 1, 2: 'b'} }} {{ {} }} {{ ["it's", 'say "x"', 'both \' "', 'nl\n'] }}
---
{{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' == 'a' }} {{ [1] == [1] }} {{ (1,) == [1] }} {{ {'a': 1} == {'a': 1.0} }} {{ none == false }} {{ q == r }}
---
{{ 1 < 2 <= 2 < 3 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 3 > 2 > 2 }} {{ 1 != 2 }}
---
{{ 2 in numbers }} {{ 9 not in numbers }} {{ 'ell' in text }} {{ 'b' in d }} {{ 'z' in d }} {{ not 'z' in d }} {{ 1 in (1, 2) }}
---
{{ yes and name }} {{ no and name }} {{ no or name }} {{ '' or 0 or [] }} {{ n and 0 and 1 }}
---
{{ 'A' if yes else 'B' }} {{ 'A' if no else 'B' }} {{ 'A' if no }} {{ 'A' if no else 'B' if no else 'C' }}
---
{{ d.a.c[0] }} {{ d['a']['c'][-1] }} {{ words.0 }} {{ words[9] }} {{ d.items is callable }} {{ d['items'] }}
---
{{ numbers[1:] }} {{ numbers[:2] }} {{ numbers[-2:] }} {{ numbers[::-1] }} {{ numbers[1:3:2] }} {{ numbers[5:] }} {{ name[1:] }} {{ name[::-1] }} {{ (1,2,3)[:2] }} {{ numbers[:-9] }} {{ numbers[3:0:-2] }}
---
{{ uni|length }} {{ uni[6] }} {{ uni|upper }} {{ uni|reverse }} {{ uni|list|length }}
---
{% if no %}A{% elif n == 7 %}B{% else %}C{% endif %}
---
{% if nothing %}A{% endif %}{% if not empty %}B{% endif %}{% if 0.0 %}C{% endif %}{% if '0' %}D{% endif %}
---
{% for w in words %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}:{{ w }};{% endfor %}
---
{% for w in words %}{{ loop.previtem }}<{{ w }}>{{ loop.nextitem }}|{{ loop.previtem is defined }} {% endfor %}
---
{% for w in words if w|length > 3 %}{{ loop.index }}{{ w }}{{ loop.last }} {% else %}none{% endfor %}
---
{% for w in empty %}{{ w }}{% else %}nothing here{% endfor %}
---
{% for w in words %}{{ loop.cycle('odd', 'even') }} {% endfor %}
---
{% for a in [1, 2] %}{% for b in [3, 4] %}{{ a }}{{ b }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}{{ loop.index }}{% endfor %}
---
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
---
{% for k, v in d|items %}{{ k }}{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in name %}{{ c }}.{% endfor %}
---
{% for (a, b), c in [((1, 2), 3), ((4, 5), 6)] %}{{ a + b * c }} {% endfor %}
---
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
---
{% for m in messages %}{{ loop.changed(m.role) }} {% endfor %}
---
{{ range(3)|list }} {{ range(1, 4)|list }} {{ range(10, 0, -3)|list }} {{ range(0)|list }} {{ range(3, 1)|list }}
---
{% set a = 1 %}{% set b, c = 2, 3 %}{{ a }}{{ b }}{{ c }}
---
{% set a = 1 %}{% for i in [1, 2] %}{{ a }}{% set a = i + 5 %}{{ a }} {% endfor %}{{ a }}
---
{% set a = 1 %}{% if yes %}{% set a = 2 %}{% endif %}{{ a }}
---
{% set ns = namespace(total=0, seen=[]) %}{% for i in numbers %}{% set ns.total = ns.total + i %}{% endfor %}{{ ns.total }} {{ ns.missing }}
---
{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' and not ns.found %}{% set ns.found = true %}{{ m.content }}{% endif %}{% endfor %}
---
{% set block %}
  inner {{ name }}
{% endset %}
[{{ block }}]
---
{% set block | upper | trim %}
  inner {{ name }}
{% endset %}
[{{ block }}]
---
{% macro greet(who, greeting='Hi', mark="!") %}{{ greeting }} {{ who }}{{ mark }}{% endmacro %}{{ greet('A') }} {{ greet('B', 'Yo') }} {{ greet(who='C', mark='?') }} {{ greet() }}
---
{% macro tree(n) %}{{ n }}{% if n > 0 %}({{ tree(n - 1) }}){% endif %}{% endmacro %}{{ tree(4) }}
---
{% macro va(a) %}{{ a }} {{ varargs }} {{ kwargs }}{% endmacro %}{{ va(1, 2, 3, k=4) }}
---
{% macro box() %}[{{ caller() }}]{% endmacro %}{% call box() %}in {{ name }}{% endcall %}
---
{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }},{% endfor %}{% endmacro %}{% call(v, i) each(words) %}{{ i }}:{{ v }}{% endcall %}
---
{% macro uses_later() %}{{ later }}{% endmacro %}{% set later = 'L' %}{{ uses_later() }}
---
{% with a = 1, b = n %}{{ a }}{{ b }}{% set a = 5 %}{{ a }}{% endwith %}{{ a }}
---
{% filter upper %}shout {{ name }}{% endfilter %}
---
{% filter replace('l', 'L') | trim %} hello {% endfilter %}
---
{# comment #}A{# multi
line #}
B
---
{% raw %}{{ not }} {% if %}{% endraw %}|{{ name }}
---
{%- raw -%}
  {{ kept }}
{%- endraw -%}
  X
---
A
  {% if yes %}
  B
  {% endif %}
C
---
A
  {%- if yes -%}
  B
  {%- endif -%}
C
---
A
  {%+ if yes +%}
  B
  {%+ endif +%}
C
---
A
  {{ name }}
  {{- name -}}
  B
---
{% for w in words %}
- {{ w }}
{% endfor %}
end
---
{%- for w in words %}
{{ w }}
    {%- if not loop.last %}, {% endif %}
{%- endfor %}
---
  {# c #}
text {# c #} more
  {#- c -#}
   tail
---
{{ 'a' }}
{{ 'b' }}

{{ 'c' }}
---
{% generation %}gen {{ name }}{% endgeneration %}
---
{{ text|trim }}|{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ 'xxhixx'.strip('x') }}|{{ 'xyhiyx'|trim('xy') }}
---
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ''.split(',') }} {{ ''.split() }} {{ 'a b c'.split(None, 1) }}
---
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('bc') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.find('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('b') }} {{ 'aXbXc'.count('X') }} {{ uni.find('字') }}
---
{{ 'a-b-c'.replace('-', '+') }} {{ 'a-b-c'.replace('-', '+', 1) }} {{ 'ab'|replace('', '.') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 'x'.replace('x', '') }}
---
{{ "it's a test-case".title() }} {{ "it's a test-case"|title }} {{ 'hELLO wORLD'|capitalize }} {{ 'hELLO'.capitalize() }} {{ 'aBc'.swapcase() }} {{ 'straße'.upper() }}
---
{{ ', '.join(words) }} {{ words|join }} {{ words|join(' + ') }} {{ [1, 2]|join('-') }} {{ messages|join(',', attribute='role') }}
---
{{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ ''.isdigit() }} {{ '-5'.zfill(4) }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }}
---
{{ 'a=b=c'.partition('=') }} {{ 'one\ntwo\r\nthree\n'.splitlines() }}
---
{{ d.keys()|list }} {{ d.values()|list }} {{ d.get('b') }} {{ d.get('z') }} {{ d.get('z', 9) }} {{ d.items()|list }}
---
{% set l = [1] %}{% do l.append(2) %}{% set _ = l.extend([3, 4]) %}{{ l }} {{ l.pop() }} {{ l.pop(0) }} {{ l }} {% do l.insert(0, 'z') %}{{ l }}{% do l.reverse() %}{{ l }} {{ l.index(2) }} {{ l.count(2) }}
---
{% set m = {'a': 1} %}{% do m.update({'b': 2}) %}{% do m.update(c=3) %}{{ m }} {{ m.pop('a') }} {{ m }} {{ m.setdefault('z', 26) }} {{ m }}
---
{% set a = [1] %}{% set b = a %}{% do b.append(2) %}{{ a }} {{ a is sameas b }} {{ a is sameas [1, 2] }}
---
{{ missing|default('x') }} {{ ''|default('x') }}| {{ ''|default('x', true) }} {{ none|default('x') }} {{ missing|d }}|{{ nothing|default('y', boolean=true) }}
---
{{ words|length }} {{ d|count }} {{ ''|length }} {{ missing|length }}
---
{{ words|first }} {{ words|last }} {{ empty|first }}| {{ name|first }} {{ name|last }}
---
{{ words|sort }} {{ words|sort(reverse=true) }} {{ words|sort(case_sensitive=true) }} {{ numbers|sort }} {{ messages|sort(attribute='role')|map(attribute='content')|join(',') }}
---
{{ numbers|unique|list }} {{ ['a', 'A', 'b']|unique|list }} {{ numbers|min }} {{ numbers|max }} {{ words|min }} {{ words|max }} {{ numbers|sum }} {{ [{'v': 1}, {'v': 2}]|sum(attribute='v') }} {{ empty|min }}|
---
{{ numbers|reverse|list }} {{ numbers|map('string')|list }} {{ words|map('upper')|join(' ') }} {{ words|map('replace', 'p', 'P')|list }}
---
{{ messages|map(attribute='role')|list }} {{ messages|map(attribute='tool_calls', default='-')|list|length }} {{ [{'a': {'b': 1}}]|map(attribute='a.b')|list }}
---
{{ numbers|select('odd')|list }} {{ numbers|reject('odd')|list }} {{ [0, 1, '', 'a']|select|list }} {{ [0, 1]|reject|list }} {{ numbers|select('gt', 2)|list }} {{ numbers|select('in', [1, 2])|list }} {{ words|select('equalto', 'fig')|list }}
---
{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|list }} {{ messages|rejectattr('role', 'eq', 'user')|list|length }} {{ messages|selectattr('tool_calls')|list|length }} {{ messages|selectattr('tool_calls', 'defined')|list|length }} {{ messages|rejectattr('tool_calls', 'undefined')|list|length }}
---
{{ '42'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ 3.9|int }} {{ '3.9'|int }} {{ 'ff'|int(base=16) }} {{ '1.5'|float }} {{ 'x'|float }} {{ 3|float }} {{ true|int }} {{ none|int }}
---
{{ 2.5|round }} {{ 3.5|round }} {{ 2.567|round(2) }} {{ 2.1|round(method='ceil') }} {{ 2.9|round(0, 'floor') }} {{ 1234|round(-2) }} {{ 7|round }}
---
{{ -3|abs }} {{ x|abs }} {{ 3|string ~ 'x' }} {{ [1]|string }} {{ 'abc'|list }} {{ 'a & <b>'|e }} {{ 'x'|safe }} {{ 'two words, here'|wordcount }}
---
{{ d|dictsort }} {{ {'b': 1, 'A': 2}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(by='value', reverse=true) }}
---
{{ 'a\nb\n\nc'|indent }} {{ 'a\nb'|indent(2, true) }} {{ 'a\n\nb'|indent(1, blank=true) }} {{ 'a\nb'|indent('> ') }}
---
{{ [1, 2, 3]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }} {{ messages|groupby('role')|map('first')|list }}
---
{{ messages[2].tool_calls[0].function.arguments|tojson }}
---
{{ d|tojson }} {{ d|tojson(indent=2) }} {{ [1, 2.0, none, true, "\n\t\"\\/", uni, (1, 2), {}, []]|tojson }} {{ []|tojson(indent=4) }}
---
{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }} {{ [1, {'a': 2}]|tojson(separators=(',', ':')) }} {{ uni|tojson(ensure_ascii=true) }} {{ {1: 'x', none: 2, true: 3}|tojson }}
---
{{ name is defined }} {{ zzz is defined }} {{ zzz is undefined }} {{ nothing is none }} {{ name is string }} {{ d is mapping }} {{ words is sequence }} {{ name is sequence }} {{ words is iterable }} {{ n is iterable }} {{ n is number }} {{ x is float }} {{ n is integer }} {{ yes is boolean }} {{ yes is number }} {{ yes is true }} {{ no is false }} {{ 1 is true }}
---
{{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }} {{ n is not odd }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ n in [7] }} {{ n is in [7] }} {{ n is eq 7 }} {{ n is ne 7 }} {{ n is gt 6 }} {{ n is lt 6 }} {{ n is ge 7 }} {{ n is le 6 }} {{ name is callable }} {{ range is callable }}
---
{{ n is odd and yes }} {{ not n is odd }} {{ 'x' if name is string else 'y' }} {{ zzz is defined and zzz.a }}
---
{{ 'x' * 3 }} {{ [1] * 2 }} {{ 2 * 'ab' }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'a' * 0 }}|{{ 'a' * -1 }}|
---
{{ '%s is %d and %.2f %%' % ('a', 3, 1.5) }} {{ '%s' % 'one' }} {{ '%s-%s'|format(1, 'b') }}
---
{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %Y %B %A %a %j %I %p %y %%') }}
---
{{ strftime_now("%-d %B %Y") }}
---
{{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ dict({'q': 1}, r=2) }}
---
{% set j = joiner(', ') %}{% for w in words %}{{ j() }}{{ w }}{% endfor %} {% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}
---
{{ [1, 2, 3][n % 3] }} {{ {'a': 1}['a'] }} {{ 'abc'[1] }} {{ 'abc'|upper|lower|first }} {{ (words|first).upper() }} {{ words|map('length')|sum }}
---
{{ messages[-1].content }} {{ messages[-1]['role'] }} {{ messages[1:][0].content }} {{ (messages|last).content }} {{ messages[::-1][0].content }}
---
{%- set loop_messages = messages[1:] if messages[0]['role'] == 'system' else messages -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        BAD
    {%- endif -%}
    <{{ message['role'] }}>{{ message['content'] | trim }}
{%- endfor -%}
---
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.tool_calls is defined and message.tool_calls is not none %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '<call>' + tool_call.name + ' ' }}
            {{- tool_call.arguments if tool_call.arguments is string else tool_call.arguments | tojson }}
            {{- '</call>' }}
        {%- endfor %}
    {%- else %}
        {{- '<|' ~ message.role ~ '|>' ~ message.content ~ '\n' }}
    {%- endif %}
{%- endfor %}
---
{%- set ns = namespace(last=messages|length - 1, multi=true) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{{- ns.last }}
---
{%- macro describe(schema) -%}
  {%- if schema.type == 'object' -%}
    { {%- for key, value in schema.properties.items() -%}{{ key }}: {{ describe(value) }}{{ ", " if not loop.last }}{%- endfor -%} }
  {%- elif schema.type == 'array' -%}
    {{ describe(schema['items']) }}[]
  {%- else -%}
    {{ schema.type }}
  {%- endif -%}
{%- endmacro -%}
{{ describe({'type': 'object', 'properties': {'a': {'type': 'string'}, 'b': {'type': 'array', 'items': {'type': 'object', 'properties': {'c': {'type': 'number'}}}}}}) }}
---
{{ '<think>a</think>b'.split('</think>')[-1].lstrip('\n') }} {{ '<think>a</think>b'.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}
---
{% if 'a' in 'abc' and not 'z' in 'abc' or no %}ok{% endif %} {{ 1 if 'x' not in ['y'] else 2 }}
---
{% for i in range(3) %}{% set last = loop.last %}{{ i }}{% if not last %},{% endif %}{% endfor %}{{ last is defined }}
---
{% for x in [1, 2] %}{{ y }}{% set y = x %}{% endfor %}
---
{{ [[1, 2], [3]]|map('length')|list }} {{ [['a', 1], ['b', 2]]|map('first')|join }} {{ [3, 1]|sort|first }} {{ ['b', 'a']|sort|join(',') }}
---
{{ raise_exception('bad ' ~ name) }}
---
{{ zzz.a.b }}
---
{{ zzz + 1 }}
---
{{ 1 / 0 }}
---
{{ 'a' + 1 }}
---
{{ n() }}
---
{{ words.nothing() }}
---
{{ 'a' < 1 }}
---
{% for x in n %}{% endfor %}
---
{% set a, b = [1] %}
---
{{ zzz|tojson }}
---
{{ {[1]: 2} }}
---
{{ none|map('upper')|list }} {{ 0|rejectattr('a')|list }} {{ gone|map(attribute='a')|join }} {{ false|select('odd')|list }}
---
{{ 5|map('upper')|list }}
---
{{ none|join }}
'''

LEXICAL_ERRORS = ["{{ name", "{% if yes %}A", "{% endif %}", "{{ name | nofilter }}", "{{ 1 + }}",
                  "{{ 'abc }}", "{# open", "{% frobnicate %}", "{{ (1, 2 }}", "{% raw %}x",
                  "{{ a is notest }}", "{% for x words %}{% endfor %}", "{% else %}",
                  "{% set 1 = 2 %}", "{{ ] }}", "{{ a b }}", "{% break %}"]


def main():
    cases = []
    templates = [t for t in T.strip("\n").split("\n---\n")]
    templates += ["trailing newline\n", "two newlines\n\n", "windows\r\nlines\r\n{% if yes %}\r\nA\r\n{% endif %}\r\n",
                  "tab\t{% if yes %}\n\tx\t{% endif %}\n", "  {% if yes %}a{% endif %}  {% if yes %}\nb{% endif %}",
                  "{{ '}}' }} {{ '%}' }} {% set a = '%}' %}{{ a }}", "{{ {'a': {'b': 1}}['a']['b'] }}{{ {} }}",
                  "{{- ' x ' -}}  y", "a {#- c #} b", "{%- if yes +%}\nA\n{%- endif %}\nB", "{{ 1 -}}  \n {{- 2 }}", "x\n{{ name }}\n"]
    for template in templates + LEXICAL_ERRORS:
        case = {"template": template}
        try:
            case["expected"] = env.from_string(template).render(**V)
        except Raised as error:
            case["raises"] = str(error)
        except (jinja2.TemplateSyntaxError, SyntaxError):
            case["fails"] = "syntax"
        except Exception:
            case["fails"] = "evaluation"
        cases.append(case)

    with open("jinja_cases.json", "w") as file:
        json.dump({"source": f"Python jinja2 {jinja2.__version__}, trim_blocks, lstrip_blocks",
                   "now": int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp()),
                   "variables": V, "cases": cases}, file, ensure_ascii=False, indent=1)
    print(len(cases), "cases,", sum("fails" in c for c in cases), "failing")


if __name__ == "__main__":
    main()
