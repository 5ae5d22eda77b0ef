package doctor

import (
	"context"
	"encoding/base64"
)

const (
	fewKeys       = 3  // one, one that comes and one that goes
	distinctBytes = 12 // 32 random bytes have fewer about never
)

// encryption looks at the key ring, not at its keys' use: the configuration has checked their form.
func (w World) encryption(context.Context) []Finding {
	const check = "encryption-key"
	keys := w.Config.Encryption.Keys
	if len(keys) == 0 {
		return []Finding{warning(check, "Give a key (openssl rand -base64 32), by encryption-key-file.", "none is given, so a restart signs everybody out")}
	}
	var found []Finding
	for i, key := range keys {
		raw, err := base64.StdEncoding.DecodeString(key.Reveal())
		seen := map[byte]bool{}
		for _, b := range raw {
			seen[b] = true
		}
		if err != nil || len(seen) < distinctBytes {
			found = append(found, problem(check, "Make a random one: openssl rand -base64 32.", "key %d is not random", i+1))
		}
	}
	if len(keys) > fewKeys {
		found = append(found, warning(check, "Drop keys that are older than session.max-lifetime.", "%d keys: a rotation was not ended", len(keys)))
	}
	return judged(found, check, "%d in the ring", len(keys))
}
