/**
 * Postern's session, for front-ends: how long it lasts, keeping it while somebody works, and saying when it ends. A page needs one line of it:
 *
 *     import { watchSession } from "/oauth2/session.js";
 *
 * It knows no token and no person. What it knows comes from GET /oauth2/session, and nothing else ends a session here: an answer that does not
 * come, or says that something is out of order, is never taken for a logout. Proxy's README.md has a page that uses all of it.
 */

/**
 * @typedef {"unknown" | "signed-in" | "ending" | "signed-out"} SessionStatus
 *   unknown: not asked yet, or no answer so far. ending: signed in, and less than warnSeconds are left.
 *
 * @typedef {object} SessionState
 * @property {SessionStatus} status
 * @property {number | null} secondsLeft    until the session ends if nobody does anything; null if there is none
 * @property {"idle" | "end" | null} limit  what ends it: idle can be moved by extend(), end only by a new login
 * @property {string | null} createdAt      when it began (RFC 3339): another time is another login, maybe of somebody else
 *
 * @typedef {object} SessionOptions
 * @property {number} [warnSeconds]  when to say that the session ends; 300. At most half of the idle timeout counts
 * @property {number} [pollSeconds]  how often a tab that is seen asks; 60
 * @property {boolean} [keepAlive]   extend the session while somebody uses the page; true
 */

/** Where Postern is: this module stands beside its other endpoints, below the path of any ingress. */
const own = new URL("./", import.meta.url);

const activities = ["pointerdown", "keydown", "wheel", "touchstart"];
const answerTime = 10_000;
const betweenRefreshes = 10_000; // also those that fail
const burst = [500, 1_000, 2_000, 4_000, 8_000]; // after another tab said that it leaves

/** A watch over the session. Events: "change" with a {@link SessionState} as detail, and "tick" each second while it is ending. */
export class SessionWatch extends EventTarget {
	/** @type {SessionState} */
	#state = { status: "unknown", secondsLeft: null, limit: null, createdAt: null };
	#warnSeconds;
	#pollSeconds;
	#keepAlive;
	#ends = 0; // times of this browser's clock
	#idles = Infinity;
	#tokens = Infinity;
	#idleTime = 0; // the longest that was seen: the idle timeout
	#tokenTime = 0;
	#cooledDown = 0;
	#active = false; // since the last refresh
	#refreshed = -Infinity;
	#asking = null;
	#asked = 0;
	#timers = new Set();
	#channel = null;
	#stopped = new AbortController();

	/** @param {SessionOptions} [options] */
	constructor({ warnSeconds = 300, pollSeconds = 60, keepAlive = true } = {}) {
		super();
		this.#warnSeconds = Math.max(0, Number(warnSeconds) || 0);
		this.#pollSeconds = Math.max(1, Number(pollSeconds) || 60);
		this.#keepAlive = keepAlive;
		const listening = { signal: this.#stopped.signal, passive: true, capture: true };
		for (const name of activities) {
			addEventListener(name, () => { this.#active = true; }, listening);
		}
		const look = () => { if (!document.hidden) this.#ask("session", "GET"); };
		document.addEventListener("visibilitychange", look, listening);
		for (const name of ["focus", "pageshow", "online"]) {
			addEventListener(name, look, listening);
		}
		if ("BroadcastChannel" in globalThis) {
			this.#channel = new BroadcastChannel("postern-session " + own.pathname); // of this ingress alone
			this.#channel.onmessage = ({ data }) => this.#heard(data);
		}
		const every = setInterval(() => this.#second(), 1_000);
		this.#stopped.signal.addEventListener("abort", () => clearInterval(every));
		this.#ask("session", "GET");
	}

	/** What is known now. @returns {SessionState} */
	get state() {
		return { ...this.#state, secondsLeft: this.#secondsLeft() };
	}

	/** Moves the idle timeout and renews tokens, as the button "stay signed in" does. @returns {Promise<SessionState>} */
	async extend() {
		await this.#asking;
		this.#active = false;
		this.#refreshed = Date.now();
		await this.#ask("session/refresh", "POST");
		this.#channel?.postMessage("changed");
		return this.state;
	}

	/**
	 * The address of a login that comes back to a path of the app, by default this page's. A link to it with target="_blank" and rel="noopener"
	 * logs in beside a form that is half filled in.
	 * @param {string} [redirect] @returns {string}
	 */
	loginURL(redirect = location.pathname + location.search) {
		const to = new URL("login", own);
		to.searchParams.set("redirect", redirect);
		return to.href;
	}

	/** Logs in here; the page is left. @param {string} [redirect] */
	login(redirect) {
		location.assign(this.loginURL(redirect));
	}

	/** Logs in in a new tab, and leaves this page as it is. Call it from a click: browsers stop other windows. @param {string} [redirect] */
	loginInNewTab(redirect) {
		open(this.loginURL(redirect), "_blank", "noopener");
	}

	/** Logs out, here and at the provider; other tabs hear of it. @param {string} [redirect] a path of the app, for afterwards */
	logout(redirect) {
		this.#channel?.postMessage("leaving");
		const to = new URL("logout", own);
		if (redirect) to.searchParams.set("redirect", redirect);
		location.assign(to.href);
	}

	/** Ends the watch: no timer, no request and no event after it. */
	stop() {
		this.#stopped.abort();
		for (const timer of this.#timers) clearTimeout(timer);
		this.#channel?.close();
		this.#channel = null;
	}

	#heard(message) {
		if (message === "changed") {
			this.#ask("session", "GET");
		} else if (message === "leaving") { // the logout is on its way, and takes some time
			for (const wait of burst) {
				const timer = setTimeout(() => {
					this.#timers.delete(timer);
					if (this.#state.status !== "signed-out") this.#ask("session", "GET");
				}, wait);
				this.#timers.add(timer);
			}
		}
	}

	/** Asks once at a time; whoever asks meanwhile gets that answer, unless it is another question. */
	#ask(endpoint, method) {
		if (this.#stopped.signal.aborted) return Promise.resolve();
		if (this.#asking && method === "GET") return this.#asking;
		const answer = this.#fetch(endpoint, method).finally(() => { if (this.#asking === answer) this.#asking = null; });
		this.#asking = answer;
		return answer;
	}

	async #fetch(endpoint, method) {
		const at = this.#asked = Date.now();
		try {
			const answer = await fetch(new URL(endpoint, own), {
				method, credentials: "same-origin", cache: "no-store", redirect: "error", headers: { accept: "application/json" },
				signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(answerTime)]),
			});
			if (answer.status === 401) {
				this.#ended();
			} else if (answer.ok) {
				this.#learn(await answer.json(), at);
			} // anything else says nothing about the session
		} catch {
			// No answer, or none that can be read: nor does that.
		}
	}

	/** @param {number} at when the question was sent, so that nothing lasts longer here than there */
	#learn({ session, tokens }, at) {
		if (!session.active) {
			this.#ended();
			return;
		}
		const idle = session.timeout_in_seconds, life = tokens.expire_in_seconds;
		this.#ends = at + 1_000 * session.ends_in_seconds;
		this.#idles = idle < 0 ? Infinity : at + 1_000 * idle;
		this.#tokens = at + 1_000 * life;
		this.#idleTime = Math.max(this.#idleTime, idle);
		this.#tokenTime = Math.max(this.#tokenTime, life);
		this.#cooledDown = at + 1_000 * tokens.refresh_cooldown_seconds;
		this.#state.createdAt = session.created_at;
		this.#judge();
	}

	#ended() {
		this.#idleTime = this.#tokenTime = 0;
		this.#become({ status: "signed-out", secondsLeft: null, limit: null, createdAt: null });
	}

	#secondsLeft() {
		if (this.#state.status !== "signed-in" && this.#state.status !== "ending") return null;
		return Math.max(0, Math.floor((Math.min(this.#ends, this.#idles) - Date.now()) / 1_000));
	}

	/** How many seconds before the session ends this says so. */
	get #warning() {
		return this.#idles < this.#ends ? Math.min(this.#warnSeconds, this.#idleTime / 2) : this.#warnSeconds;
	}

	#judge() {
		const deadline = Math.min(this.#ends, this.#idles);
		const left = Math.max(0, Math.floor((deadline - Date.now()) / 1_000));
		this.#become({
			status: left < this.#warning ? "ending" : "signed-in", secondsLeft: left, limit: this.#idles < this.#ends ? "idle" : "end",
			createdAt: this.#state.createdAt,
		});
	}

	/** @param {SessionState} next */
	#become(next) {
		const was = this.#state;
		this.#state = next;
		if (this.#stopped.signal.aborted || (was.status === next.status && was.limit === next.limit && this.#known === next.createdAt)) return;
		this.#known = next.createdAt;
		this.dispatchEvent(new CustomEvent("change", { detail: this.state }));
		if (next.status === "signed-out" || was.status === "signed-out" || was.status === "unknown") {
			this.#channel?.postMessage("changed"); // a login or a logout that other tabs may not know of
		}
	}
	#known = null; // createdAt as it was told of last

	#second() {
		const now = Date.now(), status = this.#state.status;
		if (status === "signed-in" || status === "ending") {
			this.#judge();
			if (this.#state.status === "ending") this.dispatchEvent(new CustomEvent("tick", { detail: this.state }));
			if (this.#keepAlive && this.#active && this.#worthIt(now)) {
				this.extend();
				return;
			}
			if (this.#secondsLeft() === 0 && now - this.#asked >= 1_000) { // over by this clock: the server's says
				this.#ask("session", "GET");
				return;
			}
		}
		if (!document.hidden && now - this.#asked >= 1_000 * this.#pollSeconds) this.#ask("session", "GET");
	}

	/** The shorter of the idle timeout and the life of tokens, in seconds. */
	#shortest() {
		return Math.min(this.#idleTime > 0 ? this.#idleTime : Infinity, this.#tokenTime > 0 ? this.#tokenTime : Infinity);
	}

	/** Says whether a refresh moves something that would be over soon. */
	#worthIt(now) {
		if (now - this.#refreshed < Math.min(betweenRefreshes, 250 * this.#shortest())) return false;
		const soon = (end, time) => end - now <= 1_000 * Math.min(this.#warnSeconds + 60, time / 2);
		return (this.#idles < this.#ends && soon(this.#idles, this.#idleTime)) || (now >= this.#cooledDown && soon(this.#tokens, this.#tokenTime));
	}
}

/** Watches the session of this app's user. @param {SessionOptions} [options] @returns {SessionWatch} */
export function watchSession(options) {
	return new SessionWatch(options);
}
