// The page's connection to the program: what it sends, how often, and what it shows.
"use strict";

const PERIOD_MS = 50; // The program stops the hand after 300 ms of silence.
const RETRY_MS = 1000;
const REPLACED = 4001; // Another page was opened.
const TITLES = { policy: "THE POLICY DRIVES", human: "YOU DRIVE", paused: "PAUSED", lost: "NO CONNECTION" };
const overlay = document.getElementById("overlay");
let socket = null;

const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;

function send(more) {
  if (isOpen() && socket.bufferedAmount < 4096) socket.send(JSON.stringify({ ...hand, ...more }));
}
tell = () => { if (!document.hidden) send({}); };

function show(control, message) {
  overlay.dataset.control = control;
  document.getElementById("title").textContent = TITLES[control];
  document.getElementById("message").textContent = message;
  document.getElementById("takeover").textContent = control === "human" ? "HAND BACK" : "TAKE OVER";
}

function connect() {
  socket = new WebSocket(`wss://${location.host}/socket`);
  socket.addEventListener("message", (event) => {
    const state = JSON.parse(event.data);
    turns = state.turns;
    modes();
    document.getElementById("gripper").hidden = !state.gripper;
    document.getElementById("other_arm").hidden = state.arms < 2;
    show(state.control, state.message);
  });
  socket.addEventListener("close", (event) => {
    releaseAll();
    if (event.code === REPLACED) return show("lost", "Another page drives. Reload this one to drive with it.");
    show("lost", "The program does not answer, or has ended.");
    setTimeout(connect, RETRY_MS);
  });
}

for (const button of document.querySelectorAll("[data-press]")) {
  pressed(button, () => send({ presses: [button.dataset.press] }), () => {}, () => {});
}

// A hidden page, or a phone that falls asleep, drives nothing.
function leave() {
  releaseAll();
  send({ visible: false });
}
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : stayAwake()));
window.addEventListener("pagehide", leave);
window.addEventListener("contextmenu", (event) => event.preventDefault());

function stayAwake() {
  navigator.wakeLock?.request("screen").catch(() => {});
}

setInterval(() => tell(), PERIOD_MS);
stayAwake();
history.replaceState(null, "", "/"); // The token is in the cookie; the address bar need not show it.
connect();
