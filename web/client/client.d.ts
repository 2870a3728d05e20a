// The public types of client.js. They are written by hand, and the compiler holds client.js to them.

/** Opens a call. It connects at once and stays connected until it is closed. */
export function connect(options?: ConnectOptions): Call;

export interface ConnectOptions {
  /**
   * The signaling address, `wss://HOST/ws`. Without it, `/ws` of the server that this module was
   * loaded from; an app that bundles the module has to say it.
   */
  url?: string | URL;
  /** A room token, or what fetches a fresh one; asked anew for every new session. Without it, a guest. */
  token?: string | (() => string | Promise<string>);
  /** Goes into every RTCPeerConnection beside the server's `iceServers`, e.g. `{iceTransportPolicy: "relay"}`. */
  configuration?: Omit<RTCConfiguration, "iceServers">;
}

export interface JoinOptions {
  /** What the others call us. Without it the token's name, or `Guest`. */
  name?: string;
  /** Anything the others should know; all of it must fit in about 800 bytes of JSON. */
  state?: AppState;
  /** Whether to queue for a place in a full room, rather than be refused. */
  wait?: boolean;
}

/** Members of the app's own. Those four are the client's, and refused. */
export type AppState = { [member: string]: unknown } & {
  audio?: never;
  video?: never;
  screen?: never;
  streams?: never;
};

export type Kind = "audio" | "video";
export type Source = "camera" | "screen";
export type Grant = "publish" | "subscribe" | "moderate";

/**
 * `connecting`: not yet in touch with the server. `connected`: in touch. `waiting`: queued for a full
 * room. `reconnecting`: in touch no more, media goes on. `closed`: for good.
 */
export type CallState = "connecting" | "connected" | "waiting" | "reconnecting" | "closed";

/** Someone in the room, ourselves too. The object stays the same one as long as they are there. */
export interface Person {
  readonly id: string;
  readonly name: string;
  /** Who the token says it is. */
  readonly identity?: string;
  readonly guest: boolean;
  readonly grants: readonly Grant[];
  /** The app's own state, as given to `join` and `set`. */
  readonly state: Readonly<Record<string, unknown>>;
  /** Whether a microphone is on. */
  readonly audio: boolean;
  /** Whether a camera is on. */
  readonly video: boolean;
  /** Whether a screen is shared. */
  readonly screen: boolean;
}

export interface Peer extends Person {
  /** Whether their connection to the server is lost; media may well go on. */
  readonly away: boolean;
  /** How their media connection is. */
  readonly connection: RTCPeerConnectionState;
  /** What they send. A stream stays the same one; its tracks come and go. */
  readonly streams: Readonly<Record<Source, MediaStream>>;
}

export interface Call extends EventTarget {
  readonly state: CallState;
  /** Why it is closed: `closed` by us, `kicked`, `replaced`, or the code of the error that ended it. */
  readonly reason: string | null;
  /** The room we are in. */
  readonly room: string | null;
  readonly me: Person | null;
  /** The others, by id. */
  readonly peers: ReadonlyMap<string, Peer>;
  /** Whether the room is closed to newcomers. */
  readonly locked: boolean;

  /** Enters a room; with `wait` it settles when there is a place. */
  join(room: string, options?: JoinOptions): Promise<Person>;
  /** Leaves the room. The call stays connected and may join again. */
  leave(): Promise<void>;
  /** Leaves and disconnects for good. */
  close(): void;

  /**
   * Sends the first audio and video track of a stream, in this room and in later ones. A stream that is
   * published again replaces the last one without a new negotiation: change devices this way. The app
   * stops tracks that it no longer needs.
   */
  publish(stream: MediaStream, source?: Source): void;
  /** Stops sending. A screen whose sharing the user ends is unpublished by itself. */
  unpublish(source?: Source): void;
  /** Turns our microphone or camera on or off, for the tracks of now and of later. */
  enable(kind: Kind, on?: boolean): void;

  /** Says something to all, or to one. */
  chat(text: string, to?: Person | string): Promise<void>;
  /** Changes what the others see of us. `state` replaces the app's state as a whole. */
  set(changes: { name?: string; state?: AppState }): Promise<void>;

  /** Moderators: turns a peer's microphone or camera off. */
  mute(peer: Person | string, kind: Kind): Promise<void>;
  /** Moderators: sends a peer out. */
  kick(peer: Person | string, reason?: string): Promise<void>;
  /** Moderators: closes the room to newcomers, or opens it. */
  lock(locked?: boolean): Promise<void>;

  /** How the media of a peer travels; null while it does not. Rates are since the last call for that peer. */
  stats(peer: Person | string): Promise<PeerStats | null>;

  /** Listens to an event and returns what stops it. */
  on<T extends keyof CallEvents>(type: T, listener: (event: CallEvents[T]) => void): () => void;
  addEventListener<T extends keyof CallEvents>(
    type: T,
    listener: (event: CallEvents[T]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<T extends keyof CallEvents>(
    type: T,
    listener: (event: CallEvents[T]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export interface PeerStats {
  /** `relay` when either end goes through a TURN server. */
  path: "direct" | "relay";
  /** How our end travels: to the TURN server where it uses one, else to the peer. */
  protocol: "udp" | "tcp" | "tls";
  /** Round trip in milliseconds; null before it was measured. */
  rtt: number | null;
  /** The part of their packets that did not arrive here, 0 to 1. */
  loss: number;
  /** Bits per second. */
  bitrateIn: number;
  bitrateOut: number;
  /** Candidate types of both ends of the selected pair: `host`, `srflx`, `prflx` or `relay`. */
  local: RTCIceCandidateType;
  remote: RTCIceCandidateType;
}

/** Every event, with the members it has beside those of `Event`. */
export interface CallEvents {
  /** The state of the call changed. `position` is there while waiting, from 1. */
  state: Event & { state: CallState; reason: string | null; position?: number };
  /** We are in; also again when the session was lost and the client has joined anew. */
  joined: Event & { room: string; me: Person; peers: Peer[] };
  /** Someone is there: who was there already, after `joined`, and whoever comes. */
  peer: Event & { peer: Peer };
  /** Someone went: `left`, `lost`, `kicked`, `replaced`, or `rejoined` when it was us who came anew. */
  peerleft: Event & { peer: Peer; reason: string };
  /** Any member of someone changed; of ourselves too. */
  peerchange: Event & { peer: Peer | Person };
  /** Media of a peer arrives; `stream` is `peer.streams[source]`. */
  track: Event & { peer: Peer; track: MediaStreamTrack; stream: MediaStream; source: Source };
  /** It does no more; the track is out of the stream. */
  trackended: Event & { peer: Peer; track: MediaStreamTrack; stream: MediaStream; source: Source };
  /** What we send changed, by whatever cause. */
  published: Event & { source: Source; stream: MediaStream | null };
  /** Someone spoke, ourselves too. `at` is milliseconds since 1970; `to` is there when it was for one person. */
  chat: Event & { from: Person; text: string; at: number; to?: Person };
  /** A moderator muted us, which is already done, or sent us out; or the room's lock changed. */
  moderated: Event &
    (
      | { action: "mute"; by: Person; kind: Kind }
      | { action: "kick"; by: Person; reason: string | null }
      | { action: "lock" | "unlock" }
    );
  /** Something failed that no promise of the app's tells of. The call goes on unless `state` says otherwise. */
  error: Event & { error: CallError | Error };
}

/** A request that was refused. */
export class CallError extends Error {
  /** An error code of the protocol; `closed`, `kicked` or `replaced` when the call is over; `busy` when 512 requests wait. */
  readonly code: string;
  /** After how many milliseconds it may be tried again, where the server says so. */
  readonly retryAfter: number | null;
}
