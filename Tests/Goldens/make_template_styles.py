#!/usr/bin/env python3
"""Writes template_styles.json: chat templates in the style of common model families, rendered by
Python's Jinja2 (3.1) for several conversations.

The templates are our own, written with the idioms of those families: whole templates, where
jinja_cases.json has single expressions. Run it in this folder after a change.
"""
import datetime
import json

from make_jinja_cases import NOW, Raised, env, jinja2

TEMPLATES = {}

# A system message with the date, tools in the first user message, calls as JSON, image parts.
TEMPLATES["llama3"] = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "01 Jan 2025" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\n\n" + system_message + "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("Tools need a first user message.") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\n\nAnswer with a call of one of these:\n\n' }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first + "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}
        {%- if message['content'] is string %}
            {{- message['content'] | trim }}
        {%- else %}
            {%- for part in message['content'] %}
                {%- if part['type'] == 'image' %}
                    {{- '<|image|>' }}
                {%- elif part['type'] == 'text' %}
                    {{- part['text'] | trim }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time, please.") }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
        {{- '{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- else %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

# Roles must alternate (counted in a namespace), the system message joins the last user message,
# tools stand before it, calls have ids of nine characters.
TEMPLATES["mistral"] = r"""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.tool_calls is defined and message.tool_calls is not none) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("Roles must alternate: user, assistant, user, assistant, ...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is defined and tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Ids of calls have nine characters.") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- elif message["role"] in ["tool_results", "tool"] %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id|default('none', true) + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Roles are user, assistant, tool and, once, system.") }}
    {%- endif %}
{%- endfor %}
"""

# Everything on one line, parentheses around conditions, the generation block of trainers.
TEMPLATES["phi"] = (
    r"""{% for message in messages %}{% if (message['role'] == 'system') %}"""
    r"""{{'<|system|>' + '\n' + message['content'] + '<|end|>' + '\n'}}"""
    r"""{% elif (message['role'] in ['user', 'tool']) %}"""
    r"""{{'<|user|>' + '\n' + (message['content'] if message['content'] is string else """
    r"""(message['content']|map(attribute='text')|select('string')|join(' '))) + '<|end|>' + '\n'}}"""
    r"""{% elif message['role'] == 'assistant' %}{{'<|assistant|>' + '\n'}}"""
    r"""{% generation %}{{ (message['content'] or '') + '<|end|>'}}{% endgeneration %}{{ '\n' }}{% endif %}"""
    r"""{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' + '\n' }}"""
    r"""{% else %}{{ eos_token }}{% endif %}""")

# The system message before the first user turn, `model` for `assistant`, arguments without quotes
# by a macro that calls itself.
TEMPLATES["gemma"] = r"""{%- macro written(value, depth=0) -%}
    {%- if value is mapping -%}
        {{- '{' -}}
        {%- for key, item in value | dictsort -%}
            {{- key }}:{{ written(item, depth + 1) }}{{ ',' if not loop.last -}}
        {%- endfor -%}
        {{- '}' -}}
    {%- elif value is string -%}
        <{{ depth }}>{{ value }}</{{ depth }}>
    {%- elif value is sequence -%}
        [{% for item in value %}{{ written(item, depth=depth + 1) }}{% if not loop.last %}, {% endif %}{% endfor %}]
    {%- elif value is boolean -%}
        {{ 'true' if value else 'false' }}
    {%- else -%}
        {{ value }}
    {%- endif -%}
{%- endmacro -%}
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set prefix = "" -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- set role = {'assistant': 'model', 'tool': 'user'}.get(message['role'], message.role) -%}
    {{ '<start_of_turn>' + role + '\n' + (prefix if loop.first else "") }}
    {%- for call in message.tool_calls or [] -%}
        call:{{ call.function.name }}{{ written(call.function.arguments) }}
    {%- endfor -%}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- elif not message.tool_calls -%}
        {{ raise_exception("This content cannot be written.") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
"""

# Thoughts cut from earlier answers, neighbouring tool results in one turn, found from the end.
TEMPLATES["qwen3"] = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thought = '' %}
        {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > ns.last and (loop.last or thought) %}
            {{- '<think>\n' + thought.strip('\n') + '\n</think>\n\n' }}
        {%- endif %}
        {{- content }}
        {%- for call in message.tool_calls %}
            {%- if (loop.first and content) or (not loop.first) %}
                {{- '\n' }}
            {%- endif %}
            {%- if call.function %}
                {%- set call = call.function %}
            {%- endif %}
            {{- '<tool_call>\n{"name": "' }}{{- call.name }}{{- '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (loop.previtem.role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}{{- content }}{{- '\n</tool_response>' }}
        {%- if loop.last or (loop.nextitem.role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, identifier="abc123XYZ"):
    return {"id": identifier, "type": "function",
            "function": {"name": name, "arguments": arguments}}


TOOLS = [
    {"type": "function", "function": {
        "name": "weather", "description": "Weather of a \"place\" <now>",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "enum": ["Paris", "Zürich"]},
            "days": {"type": "integer", "default": 1}}, "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "noop", "description": "", "parameters": {"type": "object", "properties": {}},
        "return": {"type": "null"}}}]

ASKED = message("user", "  What is the weather in Zürich?\n")
CALLED = message("assistant", None, tool_calls=[
    call("weather", {"city": "Zürich", "days": 2, "more": {"b": [1, 2.5, "x"], "a": True}})])
TWICE = message("assistant", "<think>\nTwo.\n</think>\n\nI look.", tool_calls=[
    call("weather", {"city": "Paris"}), call("noop", {}, "123456789")])
RESULTS = [message("tool", "{\"sky\": \"grey\"}", tool_call_id="abc123XYZ"),
           message("tool", "ok", tool_call_id="123456789")]

CONVERSATIONS = [
    [message("user", "Hello")],
    [message("system", " Be brief. "), message("user", "Hé 你好 👋"), message("assistant", " Yes. "),
     message("user", "{{ name }} {% if %}")],
    [message("user", "a"), message("assistant", "<think>\nhm\n</think>\n\nb"), message("user", "c"),
     message("assistant", "<think>so</think>d")],
    [message("system", "S"), ASKED, CALLED, RESULTS[0]],
    [ASKED, CALLED, RESULTS[0], message("assistant", "Grey."), message("user", "Thanks")],
    [ASKED, TWICE, *RESULTS],
    [message("user", [{"type": "image"}, {"type": "text", "text": " What is this? "}])],
    [message("system", "S"), message("system", "T"), message("user", "U")],
    [message("assistant", "first")],
    [message("user", "a"), message("user", "b")],
    [message("user", None)],
    [message("assistant", "", tool_calls=[call("f", {}, "short")])],
    [message("narrator", "Once upon a time")],
]


def main():
    cases = []
    for style, template in TEMPLATES.items():
        compiled = env.from_string(template)
        for index, conversation in enumerate(CONVERSATIONS):
            for tools in (None, TOOLS) if "tools" in template else (None,):
                for prompt in (True, False):
                    case = {"style": style, "conversation": index, "tools": tools is not None,
                            "add_generation_prompt": prompt}
                    try:
                        case["rendered"] = compiled.render(
                            messages=conversation, tools=tools, add_generation_prompt=prompt,
                            bos_token="<s>", eos_token="</s>")
                    except Raised as error:
                        case["raises"] = str(error)
                    except Exception:
                        case["fails"] = "evaluation"
                    cases.append(case)
    with open("template_styles.json", "w") as file:
        json.dump({"source": f"Python jinja2 {jinja2.__version__}, trim_blocks, lstrip_blocks",
                   "now": int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp()),
                   "templates": TEMPLATES, "tools": TOOLS, "conversations": CONVERSATIONS,
                   "cases": cases}, file, ensure_ascii=False, indent=1)
    print(len(cases), "cases,", sum("rendered" in c for c in cases), "rendered,",
          sum("raises" in c for c in cases), "raising,", sum("fails" in c for c in cases), "failing")


if __name__ == "__main__":
    main()
