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
	// Create puts a value at a key that was never used before (keys are hashes of random ids), for a time.
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

	// Local says that every change of a value is made by this process, so that what the process remembers is never behind the store.
	// Memory of a store that is not local may be served only while this replica can prove that it has heard of every session that was
	// ended elsewhere (S-07): once the revocation log is there, that proof takes the place of this answer.
	Local() bool
}
