// swift-format-ignore-file
// Written by Scripts/embed-studio.py from Sources/Server/Studio: change the files there.

extension StudioFiles {
  /// Name, type and text of each file.
  static let contents: [(name: String, type: String, text: String)] = [
("index.html", "text/html; charset=utf-8", #"""
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Foretoken</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/studio.css">
<script type="module" src="/studio.js"></script>
</head>
<body>
<main>
<h1>Foretoken</h1>
<p id="status" role="status">Asking the server…</p>
<p>The API is described at <a href="/openapi.json">/openapi.json</a>.</p>
</main>
</body>
</html>

"""#),
("studio.css", "text/css; charset=utf-8", #"""
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
main { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; line-height: 1.5; }

"""#),
("studio.js", "text/javascript; charset=utf-8", #"""
const status = document.getElementById("status");
try {
  const health = await (await fetch("/health")).json();
  status.textContent = `${health.model} is served; ${health.running} running, ${health.waiting} waiting.`;
} catch {
  status.textContent = "The server does not answer.";
}

"""#),
  ]
}
