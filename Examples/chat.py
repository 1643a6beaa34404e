"""Asks a server with OpenAI's client (pip install openai), and prints the answer as it is written.

usage: foretoken serve & python Examples/chat.py
"""

import os

from openai import OpenAI

url = os.environ.get("FORETOKEN_URL", "http://127.0.0.1:8080")
client = OpenAI(base_url=url + "/v1", api_key=os.environ.get("FORETOKEN_API_KEY", "none"))
stream = client.chat.completions.create(
    model="smollm2-135m",
    messages=[{"role": "user", "content": "Why is the sky blue?"}],
    max_tokens=40,
    seed=1,
    stream=True,
)
for event in stream:
    print(event.choices[0].delta.content or "", end="", flush=True)
print()
