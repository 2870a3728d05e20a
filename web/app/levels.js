// How loud streams are, for the level meter and the ring around whoever speaks.

const EVERY_MS = 100;
/** Root mean square of the samples from which on someone speaks; a quiet room has about 0.003. */
const SPEECH = 0.015;
/** Words have gaps between them; the ring stays that long. */
const HOLD_MS = 500;

/**
 * @callback LevelListener
 * @param {number} level 0 (silence) to 1
 * @param {boolean} isSpeaking
 */

/** @typedef {{track: MediaStreamTrack, source: MediaStreamAudioSourceNode, analyser: AnalyserNode, listener: LevelListener, spokeAt: number}} Watched */

export class Levels {
  /** @type {Map<string, Watched>} */
  #watched = new Map();
  /** @type {AudioContext | undefined} */
  #context;
  /** @type {number | undefined} */
  #timer;
  #samples = new Float32Array(512);

  constructor() {
    // A page that nobody has touched yet gets a context that sleeps.
    const wake = () => {
      if (this.#context?.state === "suspended") this.#context.resume().catch(() => {});
    };
    for (const type of ["pointerdown", "keydown"]) addEventListener(type, wake, { capture: true });
  }

  /**
   * Tells a listener ten times a second how loud a track is, in place of an earlier one of that key.
   * @param {string} key
   * @param {MediaStreamTrack | undefined} track without one, nothing is watched
   * @param {LevelListener} listener
   */
  watch(key, track, listener) {
    if (track && this.#watched.get(key)?.track === track) return;
    this.unwatch(key);
    if (!track || typeof AudioContext === "undefined") return;
    this.#context ??= new AudioContext();
    const source = this.#context.createMediaStreamSource(new MediaStream([track]));
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = this.#samples.length;
    source.connect(analyser);
    this.#watched.set(key, { track, source, analyser, listener, spokeAt: 0 });
    this.#timer ??= setInterval(() => this.#measure(), EVERY_MS);
  }

  /** @param {string} key */
  unwatch(key) {
    const watched = this.#watched.get(key);
    if (!watched) return;
    this.#watched.delete(key);
    watched.source.disconnect();
    watched.listener(0, false);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #measure() {
    const now = performance.now();
    for (const watched of this.#watched.values()) {
      watched.analyser.getFloatTimeDomainData(this.#samples);
      let sum = 0;
      for (const sample of this.#samples) sum += sample * sample;
      const loudness = watched.track.enabled ? Math.sqrt(sum / this.#samples.length) : 0;
      if (loudness > SPEECH) watched.spokeAt = now;
      const isSpeaking = watched.spokeAt > 0 && now - watched.spokeAt < HOLD_MS;
      watched.listener(meterOf(loudness), isSpeaking);
    }
  }
}

/** Ears hear ratios: -55 dB is 0, -10 dB is 1. @param {number} loudness */
function meterOf(loudness) {
  const decibels = 20 * Math.log10(Math.max(loudness, 1e-6));
  return Math.min(1, Math.max(0, (decibels + 55) / 45));
}
