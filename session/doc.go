// Package session knows who is logged in, for how long, and where that is kept.
//
// It owns the key ring and everything sealed with it, the ticket in the session cookie, the sealed records and the stores that keep them,
// the lifetime and the idle timeout of a session, and when its tokens are renewed. It does not own cookies as such (names, attributes and
// Set-Cookie belong to proxy), the protocol with the provider (oidc), or any decision about who may do what.
//
// The life of a session:
//
//	login      [Manager.Create] makes a [ticket] of a random id and a random data key, seals the record with the data key, puts it into the
//	           [Store] under a keyed hash of the id, and returns the cookie value: the ticket, sealed with the key ring.
//	request    [Manager.Use] opens the ticket, finds the record in memory or in the store, and opens it. Nobody else can: the store has no
//	           data key, the key ring has none either. Tokens that are due are renewed, in the background while the old ones live.
//	waiting    The idle timeout moves with requests; the end of the session never moves.
//	elsewhere  [Manager.Run] follows the log of the store. Memory is served only while that proves that nothing has ended unheard (S-07).
//	logout     [Manager.End] writes the end to the log, then deletes the record. Every process that hears of it digs a grave: whatever the
//	           store or something under way brings back later is refused. [Manager.EndAll] does so for all sessions of a person.
//
// A store answers found, not found, or trouble, and trouble ([*StoreError]) is never turned into absence: nobody is logged out because
// something else is down.
package session
