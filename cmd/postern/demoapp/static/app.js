// What needs a script: the countdown, refreshing in place, and the things to try. The page says all the rest without it.
"use strict";

const own = document.body.dataset.own;
const known = document.body.dataset.known === "true";
const $ = (id) => document.getElementById(id);
const say = (id, text) => { $(id).textContent = text; };

// ---- The session: what Postern tells any front-end at /oauth2/session.

let answer = null; // its last answer
let asked = 0; // when, on a clock that no one sets

const pad = (n) => String(n).padStart(2, "0");

function inWords(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  return s >= 3600 ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}` : `${pad(Math.floor(s / 60))}:${pad(s % 60)}`;
}

function show(which, left, whole, note) {
  document.querySelector(`[data-clock=${which}]`).textContent = inWords(left);
  document.querySelector(`[data-bar=${which}]`).value = whole > 0 ? Math.min(1, Math.max(0, left / whole)) : 0;
  document.querySelector(`[data-note=${which}]`).textContent = note;
}

function tick() {
  if (!answer) return;
  const passed = (performance.now() - asked) / 1000;
  const { session, tokens } = answer;
  const span = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;
  const idle = session.timeout_in_seconds;
  show("session", session.ends_in_seconds - passed, span(session.created_at, session.ends_at),
    idle < 0 ? "However much or little you do." : `Without a request from you, only ${inWords(idle - passed)}.`);
  const renewal = tokens.next_auto_refresh_in_seconds;
  show("token", tokens.expire_in_seconds - passed, span(tokens.refreshed_at, tokens.expire_at),
    renewal < 0 ? "Postern does not renew it by itself here." :
      renewal > passed ? `Postern renews it by itself in ${inWords(renewal - passed)}, when you use the app.` :
        "Postern renews it with your next request.");
}

function ended(text) {
  answer = null;
  for (const which of ["session", "token"]) show(which, 0, 0, "");
  $("refresh").disabled = true;
  say("session-status", text);
}

async function ask(path, method) {
  const response = await fetch(own + path, { method, headers: { Accept: "application/json" }, cache: "no-store" });
  if (response.status === 401) { ended("The session has ended. Reload the page."); return null; }
  if (!response.ok) { say("session-status", "Postern cannot tell right now. You are still logged in."); return null; }
  const body = await response.json();
  if (!body.session.active) { ended("The session has timed out. Reload the page."); return null; }
  answer = body;
  asked = performance.now();
  tick();
  return body;
}

async function refresh() {
  const before = answer && answer.tokens.refreshed_at;
  say("session-status", "Refreshing …");
  const body = await ask("/session/refresh", "POST");
  if (!body) return;
  if (body.tokens.refreshed_at !== before) say("session-status", "Renewed. The app gets the new token with the next request.");
  else if (body.tokens.refresh_cooldown) say("session-status", `Just renewed. It can be renewed again in ${body.tokens.refresh_cooldown_seconds} s.`);
  else say("session-status", "There was nothing to renew.");
}

const offline = () => say("session-status", "Postern does not answer. Is it still running?");

if (known && $("session")) {
  $("session").hidden = false;
  const poll = () => ask("/session", "GET").catch(offline);
  poll();
  setInterval(tick, 1000);
  setInterval(() => { if (answer && !document.hidden) poll(); }, 10000);
  document.addEventListener("visibilitychange", () => { if (answer && !document.hidden) poll(); });
  $("refresh").addEventListener("click", () => refresh().catch(offline));
}

// ---- Things to try.

if ($("forge")) {
  $("forge").hidden = false;
  $("forge").addEventListener("click", async () => {
    try {
      const response = await fetch("/whoami", { headers: { "X-Postern-User": "mallory", "X-Postern-Auth": "session", "X-Postern-Roles": "admin" } });
      const user = (await response.json()).headers["X-Postern-User"];
      say("forge-result", user === "mallory" ? "The app believed it: Postern is not in front of this app!" :
        `Sent: mallory. Arrived: ${user ? decodeURIComponent(user) : "nobody"}.`);
    } catch {
      say("forge-result", "The request did not get through.");
    }
  });
}

if ($("stream")) {
  say("stream", "Connecting …");
  const events = new EventSource("/stream");
  events.addEventListener("message", (event) => {
    const { n, time } = JSON.parse(event.data);
    say("stream", `${time} UTC, event ${n}`);
  });
  events.addEventListener("error", () => say("stream", "Interrupted. The browser tries again by itself."));
}

if ($("echo")) {
  $("echo").hidden = false;
  let socket = null;
  const send = (text) => { socket.send(text); };
  $("echo").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("say").value;
    if (socket && socket.readyState === WebSocket.OPEN) { send(text); return; }
    const opening = new WebSocket(location.origin.replace(/^http/, "ws") + "/echo");
    socket = opening;
    opening.addEventListener("open", () => send(text));
    opening.addEventListener("message", (message) => say("echo-result", `It came back: ${message.data}`));
    opening.addEventListener("close", () => { if (socket === opening) { socket = null; say("echo-result", "The connection was closed."); } });
  });
}
