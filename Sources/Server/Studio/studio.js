const status = document.getElementById("status");
try {
  const health = await (await fetch("/health")).json();
  status.textContent = `${health.model} is served; ${health.running} running, ${health.waiting} waiting.`;
} catch {
  status.textContent = "The server does not answer.";
}
