package session

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/config"
	"postern/oidc"
)

var update = flag.Bool("update", false, "write golden files of record formats that have none")

var sameRecord = cmp.AllowUnexported(record{}, oidc.Token{}, endedToken{})

func exampleRecord() record {
	at := time.Date(2026, 11, 22, 6, 0, 0, 123456789, time.UTC)
	claims := `{"sub":"kari","groups":["staff"]}`
	return record{
		created: at, ends: at.Add(10 * time.Hour), refreshed: at.Add(time.Minute), expiry: at.Add(time.Hour),
		access: oidc.NewToken("access"), refresh: oidc.NewToken("refresh"),
		id:       oidc.NewToken("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"),
		provider: oidc.OpenID, claims: claims, granted: `{"groups":["admin"]}`, sid: "sid-1",
		superseded: []endedToken{{hash: oidc.TokenHash(oidc.NewToken("access-before")), expiry: at.Truncate(time.Second)}},
	}
}

// exampleTicket has fixed keys, so that what it seals can be opened by any later version.
func exampleTicket(t testing.TB) *ticket {
	t.Helper()
	made, err := newTicket(strings.NewReader(strings.Repeat("0123456789abcdef", 3)))
	if err != nil {
		t.Fatal(err)
	}
	made.storeKey = "postern:session:{example}"
	return made
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		when := rapid.Custom(func(t *rapid.T) time.Time {
			nano := rapid.Int64Range(-1<<62, 1<<62).Draw(t, "nano")
			if nano == 0 {
				return time.Time{}
			}
			return time.Unix(0, nano).UTC()
		})
		token := rapid.Custom(func(t *rapid.T) oidc.Token { return oidc.NewToken(rapid.String().Draw(t, "token")) })
		r := record{
			created: when.Draw(t, "created"), ends: when.Draw(t, "ends"), timeout: when.Draw(t, "timeout"),
			refreshed: when.Draw(t, "refreshed"), expiry: when.Draw(t, "expiry"),
			access: token.Draw(t, "access"), refresh: token.Draw(t, "refresh"), id: token.Draw(t, "id"),
			provider: rapid.String().Draw(t, "provider"), claims: `{"sub":"` + rapid.StringMatching(`[a-z]{1,9}`).Draw(t, "sub") + `"}`,
			sid: rapid.String().Draw(t, "sid"), endedBy: rapid.String().Draw(t, "endedBy"), challenge: rapid.String().Draw(t, "challenge"),
			superseded: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) endedToken {
				return endedToken{hash: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")), expiry: time.Unix(rapid.Int64Range(0, 1<<40).Draw(t, "expiry"), 0).UTC()}
			}), 0, maxSuperseded).Draw(t, "superseded"),
		}
		if len(r.superseded) == 0 {
			r.superseded = nil
		}
		if rapid.Bool().Draw(t, "claims are the id token's") {
			r.id = oidc.NewToken("h." + base64.RawURLEncoding.EncodeToString([]byte(r.claims)) + ".s")
		}
		plain, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeRecord(recordVersion, plain)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, back, sameRecord); diff != "" {
			t.Fatal(diff)
		}
		if cut, err := decodeRecord(recordVersion, plain[:rapid.IntRange(0, len(plain)-1).Draw(t, "cut")]); err == nil {
			t.Fatalf("a cut record was read: %+v", cut)
		}
	})
}

func TestClaimsThatTheIDTokenHoldsAreNotStoredTwice(t *testing.T) {
	t.Parallel()
	r := exampleRecord()
	once, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	r.claims += " "
	twice, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	if saved := len(twice) - len(once); saved != len(r.claims) {
		t.Errorf("%d bytes saved, want %d", saved, len(r.claims))
	}
}

func TestARecordOverTheBoundIsRefused(t *testing.T) {
	t.Parallel()
	r := exampleRecord()
	r.access = oidc.NewToken(strings.Repeat("x", maxRecord))
	if _, err := sealRecord(exampleTicket(t), &r, []byte("label")); !errors.Is(err, errTooLarge) {
		t.Errorf("error is %v, want %v", err, errTooLarge)
	}
}

// Every format that was ever released stays readable: the file of a version is written once (-update) and never changed.
func TestRecordsOfEveryVersionSoFarCanBeRead(t *testing.T) {
	t.Parallel()
	for version := 1; version <= recordVersion; version++ {
		want, file := exampleRecord(), fmt.Sprintf("testdata/record-v%d.hex", version)
		if version == 1 {
			want.superseded = nil
		}
		if _, err := os.Stat(file); err != nil && *update && version == recordVersion {
			value, err := sealRecord(exampleTicket(t), &want, []byte("label"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(hex.EncodeToString(value)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		value, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := openRecord(exampleTicket(t), value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameRecord); diff != "" {
			t.Errorf("version %d: %s", version, diff)
		}
	}
}

// While versions are mixed, what a newer one wrote is trouble for an older one and never a logout.
func TestARecordOfANewerVersionIsTroubleAndNotAbsence(t *testing.T) {
	t.Parallel()
	own, r := exampleTicket(t), exampleRecord()
	value, err := sealRecord(own, &r, []byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []byte{recordVersion + 1, 200, 255} {
		value[0] = version
		if _, _, err := openRecord(own, value); !errors.Is(err, errNewer) || errors.Is(err, errForeign) {
			t.Errorf("version %d: %v, want %v", version, err, errNewer)
		}
	}
	value[0] = 0 // older than every version
	if _, _, err := openRecord(own, value); !errors.Is(err, errForeign) {
		t.Errorf("version 0: %v", err)
	}
}

func TestATicketOfANewerVersionIsTroubleAndNotAbsence(t *testing.T) {
	t.Parallel()
	key, err := RandomKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := NewKeyRing([]config.Secret{key})
	if err != nil {
		t.Fatal(err)
	}
	ts := newTickets(ring, "c", time.Hour)
	for first, trouble := range map[byte]bool{0: false, ticketVersion: false, ticketVersion + 1: true} {
		value, err := ts.sealer.Seal("c", []byte{first, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		_, err = ts.open(value, fingerprintOf(value))
		if _, isTrouble := errors.AsType[*StoreError](err); isTrouble != trouble || (!trouble && !errors.Is(err, ErrNoSession)) {
			t.Errorf("ticket version %d: %v", first, err)
		}
	}
}

// A reply that belongs to another session must never become a session here: it is trouble, and a damaged one is no session.
func TestAdvisoryCVE2025_29923SwappedReplyFailsToOpen(t *testing.T) {
	t.Parallel()
	mine, theirs, r := exampleTicket(t), exampleTicket(t), exampleRecord()
	theirs.storeKey = "postern:session:{theirs}"
	theirs.id[0] ^= 1
	value, err := sealRecord(theirs, &r, []byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := openRecord(mine, value); !errors.Is(err, errMisplaced) {
		t.Errorf("a reply for another key: %v, want %v", err, errMisplaced)
	}
	// Moved with its place rewritten, and even with the same data key: the associated data still names the other session.
	copy(value[1:sealedHead], place(mine.storeKey))
	if _, _, err := openRecord(mine, value); !errors.Is(err, errForeign) {
		t.Errorf("a value that was moved: %v, want %v", err, errForeign)
	}
}

func TestAdvisoryCVE2023_35941FieldsCannotBeShifted(t *testing.T) {
	t.Parallel()
	one, two := exampleTicket(t), exampleTicket(t)
	one.storeKey, two.storeKey = "ab", "a"
	copy(two.id[:], "b")
	if bytes.Equal(one.associated(1, nil), two.associated(1, nil)) {
		t.Error("two different places have one associated data")
	}
	r1, r2 := exampleRecord(), exampleRecord()
	r1.sid, r1.endedBy = "sid-1x", ""
	r2.sid, r2.endedBy = "sid-1", "x"
	p1, err1 := r1.encode()
	p2, err2 := r2.encode()
	if err1 != nil || err2 != nil || bytes.Equal(p1, p2) {
		t.Errorf("two different records are written alike (%v, %v)", err1, err2)
	}
}

func TestEveryFlippedBitAndEveryCutIsNoticed(t *testing.T) {
	t.Parallel()
	own, r := exampleTicket(t), exampleRecord()
	value, err := sealRecord(own, &r, []byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range value {
		for bit := range 8 {
			changed := bytes.Clone(value)
			changed[i] ^= 1 << bit
			if _, _, err := openRecord(own, changed); err == nil {
				t.Fatalf("bit %d of byte %d flipped, and it opens", bit, i)
			}
		}
		if _, _, err := openRecord(own, value[:i]); err == nil {
			t.Fatalf("cut to %d bytes, and it opens", i)
		}
	}
}

func TestRevisionsNeverRepeat(t *testing.T) {
	t.Parallel()
	own, r := exampleTicket(t), exampleRecord()
	seen := map[Revision]bool{}
	for range 1000 {
		value, err := sealRecord(own, &r, []byte("label"))
		if err != nil {
			t.Fatal(err)
		}
		if seen[Revision(value)] {
			t.Fatal("a revision came twice")
		}
		seen[Revision(value)] = true
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, change := range []func(*record){
		func(*record) {},
		func(r *record) { *r = record{claims: "{}"} },
		func(r *record) { r.endedBy, r.challenge = "invalid_grant", "{}" },
	} {
		r := exampleRecord()
		change(&r)
		plain, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
		f.Add(plain[:len(plain)-1])
		f.Add(append(plain, 0))
	}
	f.Add(append(make([]byte, 40), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	f.Fuzz(func(t *testing.T, input []byte) {
		r, err := decodeRecord(recordVersion, input)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			if len(input) < maxRecord/2 {
				t.Fatalf("a record that was read cannot be written: %v", err)
			}
			return
		}
		if back, err := decodeRecord(recordVersion, again); err != nil || !cmp.Equal(r, back, sameRecord) {
			t.Fatalf("%v\n%s", err, cmp.Diff(r, back, sameRecord))
		}
	})
}

func FuzzOpenRecord(f *testing.F) {
	own, r := exampleTicket(f), exampleRecord()
	value, err := sealRecord(own, &r, []byte("label"))
	if err != nil {
		f.Fatal(err)
	}
	plain, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add(value[:RevisionSize])
	f.Add([]byte{recordVersion})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, input []byte) {
		got, _, err := openRecord(own, input)
		if err != nil {
			return
		}
		// Not "equal to value": a fuzzing worker is a process of its own, and the nonce of its value is another one.
		if opened, err := got.encode(); err != nil || !bytes.Equal(opened, plain) {
			t.Fatal("something that was not sealed opens")
		}
	})
}
