// What the thumbs and the phone do: pads, the held buttons, WebXR and the orientation sensors.
"use strict";

// The state that every message carries. Nothing is held at first, and again after every release.
const hand = { place_m: null, turn_xyzw: null, angles_deg: null, pads: [0, 0, 0] };
let tell = () => {}; // Sends the state; page.js sets it.

function pressed(element, down, move, up) {
  let pointer = null;
  element.addEventListener("pointerdown", (event) => {
    if (pointer !== null) return;
    pointer = event.pointerId;
    element.setPointerCapture(pointer);
    element.classList.add("held");
    down(event);
  });
  element.addEventListener("pointermove", (event) => event.pointerId === pointer && move(event));
  const release = (event) => {
    if (event && event.pointerId !== pointer) return;
    if (pointer === null) return;
    pointer = null;
    element.classList.remove("held");
    up();
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) element.addEventListener(name, release);
  return () => release(null);
}

const limited = (number) => Math.min(1, Math.max(-1, number));

// A pad works like a stick: the thumb's way from where it went down is the deflection.
function pad(element, set) {
  const knob = element.querySelector("i");
  let start = null;
  const show = (right, up) => {
    const [width, height] = [element.clientWidth, element.clientHeight];
    knob.style.left = `${width / 2 + right * (width / 2 - 30)}px`;
    knob.style.top = `${height / 2 - up * (height / 2 - 30)}px`;
  };
  const place = (event) => {
    const reach = Math.max(60, Math.min(element.clientWidth, element.clientHeight) / 2);
    const right = limited((event.clientX - start[0]) / reach), up = limited((start[1] - event.clientY) / reach);
    set(right, up);
    show(right, up);
    tell();
  };
  return pressed(
    element,
    (event) => { start = [event.clientX, event.clientY]; },
    place,
    () => { set(0, 0); show(0, 0); tell(); },
  );
}

const plane = document.getElementById("plane"), lift = document.getElementById("lift");
const drive = document.getElementById("drive"), turn = document.getElementById("turn");

// WebXR: the place and orientation of the phone while the drive button is held.
let driving = false, session = null;
function stopDriving() {
  driving = false;
  hand.place_m = hand.turn_xyzw = null;
  tell();
}

async function follow() {
  const canvas = document.createElement("canvas");
  const gl = canvas.getContext("webgl", { xrCompatible: true });
  session = await navigator.xr.requestSession("immersive-ar", {
    requiredFeatures: ["dom-overlay"],
    domOverlay: { root: document.getElementById("overlay") },
  });
  session.updateRenderState({ baseLayer: new XRWebGLLayer(session, gl) });
  const space = await session.requestReferenceSpace("local");
  const onFrame = (time, frame) => {
    session?.requestAnimationFrame(onFrame);
    if (!driving) return;
    const pose = frame.getViewerPose(space);
    // Without a measured place the phone would seem to stand still while it is moved.
    if (!pose || pose.emulatedPosition) { hand.place_m = hand.turn_xyzw = null; tell(); return; }
    const { position: p, orientation: q } = pose.transform;
    hand.place_m = [p.x, p.y, p.z];
    hand.turn_xyzw = [q.x, q.y, q.z, q.w];
    tell();
  };
  session.addEventListener("end", () => { session = null; stopDriving(); modes(); });
  session.addEventListener("visibilitychange", () => { if (session?.visibilityState !== "visible") stopDriving(); });
  session.requestAnimationFrame(onFrame);
  modes();
}

// The orientation sensors: the turn of the phone while the turn button is held.
let turning = false;
window.addEventListener("deviceorientation", (event) => {
  if (!turning || event.beta === null) return;
  hand.angles_deg = [event.alpha ?? 0, event.beta, event.gamma];
  tell();
});
function stopTurning() {
  turning = false;
  hand.angles_deg = null;
  tell();
  // Safari asks for a permission, and only when a touch ends.
  window.DeviceOrientationEvent?.requestPermission?.().catch(() => {});
}

let canFollow = false, turns = false;
function modes() {
  const follows = session !== null;
  plane.hidden = lift.hidden = follows;
  drive.hidden = !follows;
  turn.hidden = follows || !turns;
  document.getElementById("follow").hidden = follows || !canFollow;
  document.getElementById("hint").textContent = follows || canFollow ? ""
    : "This browser cannot tell where the phone is (WebXR), so the pads move the hand.";
}

const releases = [
  pad(plane, (right, up) => { hand.pads[0] = right; hand.pads[1] = up; }),
  pad(lift, (right, up) => { hand.pads[2] = up; }),
  pressed(drive, () => { driving = true; }, () => {}, stopDriving),
  pressed(turn, () => { turning = true; }, () => {}, stopTurning),
];
const releaseAll = () => releases.forEach((release) => release());

document.getElementById("follow").addEventListener("click", () => {
  follow().catch((error) => { document.getElementById("hint").textContent = `WebXR: ${error.message}`; });
});
navigator.xr?.isSessionSupported("immersive-ar").then((supported) => { canFollow = supported; modes(); }, () => {});
modes();
