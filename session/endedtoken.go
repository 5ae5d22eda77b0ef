package session

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"postern/oidc"
)

// endedToken is an access token that ends with its session (S-09), as everybody may know it: by its hash.
type endedToken struct {
	hash   [sha256.Size]byte
	expiry time.Time // in whole seconds
}

const (
	endedTokenSize = sha256.Size + 8

	// maxSuperseded bounds how many access tokens of one session live at once; of more the oldest are forgotten.
	maxSuperseded = 8
)

// supersede is the list that a record has once its access token is replaced: those that are good no longer go.
func (r *record) supersede(now time.Time) []endedToken {
	list := slices.DeleteFunc(slices.Clone(r.superseded), func(t endedToken) bool { return t.over(now) })
	if current := r.accessToken(); !r.access.Empty() && !current.over(now) {
		list = append(list, current)
	}
	return list[max(0, len(list)-maxSuperseded):]
}

func (r *record) accessToken() endedToken {
	return endedToken{hash: oidc.TokenHash(r.access), expiry: r.expiry.Truncate(time.Second)}
}

// over says whether nobody would take the token any more; clocks differ.
func (t endedToken) over(now time.Time) bool { return now.After(t.expiry.Add(2 * clockSlack)) }

func appendTokens(to []byte, list []endedToken) []byte {
	for _, t := range list {
		to = append(to, t.hash[:]...)
		to = binary.BigEndian.AppendUint64(to, uint64(t.expiry.Unix()))
	}
	return to
}

// tokens takes all that is left.
func (in *reader) tokens() (list []endedToken) {
	for len(in.rest) >= endedTokenSize {
		t := endedToken{hash: [sha256.Size]byte(in.rest), expiry: time.Unix(int64(binary.BigEndian.Uint64(in.rest[sha256.Size:])), 0).UTC()}
		list, in.rest = append(list, t), in.rest[endedTokenSize:]
	}
	in.failed = in.failed || len(in.rest) > 0
	return list
}
