"""Talks to a server with OpenAI's own client; the address is in FORETOKEN_URL."""

import json
import os
import urllib.request

import openai

URL = os.environ["FORETOKEN_URL"]
client = openai.OpenAI(base_url=URL + "/v1", api_key="unused", max_retries=0, timeout=120)
model = client.models.list().data[0].id
assert client.models.list().data[0].owned_by == "foretoken"

question = [{"role": "user", "content": "Name three rivers."}]


def chat(**fields):
    return client.chat.completions.create(model=model, messages=question, seed=7, **fields)


# Whole and as a stream: the same text.
whole = chat(max_tokens=24, temperature=0.7)
assert whole.choices[0].message.role == "assistant"
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
pieces = list(
    chat(max_tokens=24, temperature=0.7, stream=True, stream_options={"include_usage": True})
)
text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
assert text == whole.choices[0].message.content, (text, whole)
assert pieces[-1].usage == whole.usage or pieces[-1].usage.total_tokens == whole.usage.total_tokens
assert chat(max_tokens=24, temperature=0.7).choices[0].message.content == text

# Choices, log-probabilities, stops, penalties, biases.
several = chat(max_tokens=6, n=3)
assert [c.index for c in several.choices] == [0, 1, 2]
listed = chat(max_tokens=3, logprobs=True, top_logprobs=2)
tokens = listed.choices[0].logprobs.content
assert len(tokens) == 3 and len(tokens[0].top_logprobs) == 2
assert bytes(tokens[0].bytes).decode(errors="replace") == tokens[0].token
stopped = chat(max_tokens=40, stop=[" "])
assert " " not in stopped.choices[0].message.content
assert stopped.choices[0].finish_reason in ("stop", "length")
chat(max_tokens=4, presence_penalty=1, frequency_penalty=-1, logit_bias={"5": -100}, top_p=0.9)

# Constraints.
schema = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 10}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
answer = chat(
    max_tokens=100,
    response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
)
person = json.loads(answer.choices[0].message.content)
assert set(person) == {"name", "age"} and isinstance(person["age"], int)
answer = chat(max_tokens=5, extra_body={"grammar": 'root ::= "yes" | "no"'})
assert answer.choices[0].message.content in ("yes", "no")

# Predicted outputs, and the server's own block.
plain = chat(max_tokens=30, temperature=0, extra_body={"foretoken": {"speculation": "none"}})
text = plain.choices[0].message.content
predicted = chat(max_tokens=30, temperature=0, prediction={"type": "content", "content": text})
assert predicted.choices[0].message.content == text
traced = chat(max_tokens=8, temperature=0, extra_body={"foretoken": {"trace": True}})
assert traced.model_extra["foretoken"]["choices"][0]["steps"]

# Tools.
tools = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 12}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
called = chat(max_tokens=80, tools=tools, tool_choice="required").choices[0]
assert called.finish_reason == "tool_calls"
call = called.message.tool_calls[0]
assert call.function.name == "weather" and set(json.loads(call.function.arguments)) == {"city"}
streamed = [
    c
    for p in chat(max_tokens=80, tools=tools, tool_choice="required", stream=True)
    if p.choices
    for c in p.choices[0].delta.tool_calls or []
]
assert streamed[0].function.arguments == call.function.arguments
client.chat.completions.create(
    model=model,
    max_tokens=8,
    messages=question
    + [called.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}],
    tools=tools,
)

# Completions and embeddings.
completion = client.completions.create(model=model, prompt=["One, two,", "A"], max_tokens=4)
assert len(completion.choices) == 2
assert list(client.completions.create(model=model, prompt="A", max_tokens=4, stream=True))
vectors = client.embeddings.create(model=model, input=["A cat.", "A dog."]).data
assert len(vectors) == 2 and abs(sum(x * x for x in vectors[0].embedding) - 1) < 1e-4


# Errors are those that the client knows.
def fails(error, call):
    try:
        call()
    except error as found:
        assert found.body["message"], found
        return
    raise AssertionError(f"expected {error.__name__}")


fails(openai.BadRequestError, lambda: chat(temperature=9))
fails(openai.BadRequestError, lambda: chat(extra_body={"unheard_of": 1}))
fails(
    openai.NotFoundError,
    lambda: client.chat.completions.create(model="gpt-9", messages=question),
)

for path in ["/health", "/metrics", "/openapi.json", "/"]:
    assert urllib.request.urlopen(URL + path).status == 200, path
print("all is as the client expects")
