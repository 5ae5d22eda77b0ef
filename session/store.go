package session

import (
	"context"
	"time"
)

// Store keeps sealed values outside of the requests. [MemoryStore] and [RedisStore] are the two there are, and storetest is the suite that
// both pass.
//
// Every call ends within about a second with what was asked for, [ErrNotFound], or [*StoreError]; only a caller that went away gets its
// context's error. Trouble is never reported as absence. Values belong to nobody: neither side changes their bytes afterwards.
type Store interface {
	// Create puts a value at a key, for a time.
	Create(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Read returns the value, or ErrNotFound when there is none or its time is over.
	Read(ctx context.Context, key string) ([]byte, error)

	// Replace exchanges the value if it still begins with the old one's revision, and leaves its time as it is. Otherwise
	// it changes nothing: ErrConflict if somebody else was faster, ErrNotFound if the value is gone. It never creates, so a session that
	// was ended cannot come back.
	Replace(ctx context.Context, key string, old Revision, value []byte) error

	// Delete removes the value; it is no error if there is none.
	Delete(ctx context.Context, key string) error

	// Mark returns true for the first call with a key until its time is over, and false for every other.
	Mark(ctx context.Context, key string, ttl time.Duration) (first bool, err error)

	// Add puts a member into a set for a time, drops those whose time is over, and returns how many there are.
	Add(ctx context.Context, set, member string, ttl time.Duration) (members int, err error)

	// Members is a set, those that end soonest first.
	Members(ctx context.Context, set string) ([]Member, error)

	// Remove takes a member out of a set; it is no error if it is not there.
	Remove(ctx context.Context, set, member string) error

	// Count is how many keys begin with a prefix. It looks at all of them.
	Count(ctx context.Context, prefix string) (int, error)
}

// Member is one of a set.
type Member struct {
	Name string
	Ends time.Time
}

// Shared is a store that other replicas use too. What this process remembers of it may be behind, so the store has a log of what was changed
// and ended, and locks. [RedisStore] is one.
type Shared interface {
	Store

	// Append puts an entry at the end of the log. With a time it is also kept aside for so long, for [Shared.Kept].
	Append(ctx context.Context, entry []byte, aside time.Duration) error

	// Tail returns what was appended after a position, and the position after that; there may be more if the page is full. The zero position is
	// the end of the log, [ErrNotFound] if nothing was ever appended. [ErrGap] means that the log has lost the position: nobody knows what was appended since.
	Tail(ctx context.Context, after Position) (entries [][]byte, next Position, err error)

	// Wait returns when something was appended after a position, or else after a time or in trouble. It proves nothing.
	Wait(ctx context.Context, after Position, most time.Duration)

	// Kept is what was put aside and is there yet, from an offset on, what ends last first; there may be more if the page is full.
	Kept(ctx context.Context, offset int) ([][]byte, error)

	// Identity changes when another server takes the place of the one before, which may not have everything that was acknowledged.
	Identity(ctx context.Context) (string, error)

	// Lock takes a lock for an owner, or keeps it, for a time. It returns false while somebody else has it.
	Lock(ctx context.Context, key, owner string, ttl time.Duration) (bool, error)

	// Unlock lets go of a lock that the owner still has.
	Unlock(ctx context.Context, key, owner string) error
}

// LogPage is the number of entries in a full page.
const LogPage = 1000

// Position is a place in the log: its last entry that is known.
type Position struct {
	ID    string
	Entry string // so that another log, which happens to have the id as well, is told apart
}
