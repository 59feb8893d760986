// Sends the operator's keys as events, over the page's connection to the panel. The viewer itself only tells which
// keys are down when it draws: it misses a tap that is shorter than a drawn image. Plays a tone when the panel says so.
(() => {
  const PLACES = { " ": "Space", ";": "Semicolon", Shift: "ShiftLeft", Control: "ControlLeft" };
  const WAIT_MS = 5000;
  const CONTROL_TAKEN = 4001; // Another page controls the panel.
  let panel = null;
  let layout = null;
  let audio = null; // Browsers play no sound before the first key or click.
  let waiting = []; // Events while the connection is broken, with their times.

  function send(text) {
    if (panel && panel.readyState === WebSocket.OPEN) panel.send(text);
    else if (panel) waiting.push([performance.now(), text]);
  }

  function beep() {
    audio = audio || new AudioContext();
    const tone = new OscillatorNode(audio, { frequency: 660 });
    const volume = new GainNode(audio, { gain: 0.2 });
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.25);
    document.documentElement.dataset.beeps = 1 + Number(document.documentElement.dataset.beeps || 0);
  }

  // The viewer opens the connection, again when it is broken, and begins it with a message of its own.
  window.WebSocket = class extends window.WebSocket {
    constructor(...options) {
      super(...options);
      // The viewer itself is sent bytes only.
      this.addEventListener("message", (event) => {
        if (event.data !== "beep") return;
        event.stopImmediatePropagation();
        beep();
      });
    }

    send(data) {
      super.send(data);
      if (panel === this || new URL(this.url).pathname !== "/ui") return;
      panel = this;
      this.addEventListener("close", (event) => {
        if (panel === this && event.code === CONTROL_TAKEN) panel = null;
      });
      if (layout) send("layout " + layout);
      for (const [time, text] of waiting) if (performance.now() - time < WAIT_MS) send(text);
      waiting = [];
    }
  };

  // The place of a key, or what is printed on it where the browser cannot tell the place.
  function place(event) {
    if (event.code && event.code !== "Unidentified") return event.code;
    if (/^[a-z]$/i.test(event.key)) return "Key" + event.key.toUpperCase();
    return PLACES[event.key] || event.key;
  }

  window.addEventListener(
    "keydown",
    (event) => {
      if (event.metaKey) send("release"); // Browsers do not tell about keys that are released while it is held.
      if (event.metaKey || event.altKey) return;
      if (!/^F\d+$/.test(event.key)) event.preventDefault();
      if (!event.repeat && event.key === "?") send("help");
      if (!event.repeat) send("down " + place(event));
    },
    true,
  );
  window.addEventListener("keyup", (event) => send("up " + place(event)), true);
  window.addEventListener("blur", () => send("release"));
  document.addEventListener("visibilitychange", () => document.hidden && send("release"));

  // Chromium tells what the operator's layout prints on each key.
  navigator.keyboard?.getLayoutMap?.().then((map) => {
    layout = JSON.stringify(Object.fromEntries(map));
    send("layout " + layout);
  });
})();
