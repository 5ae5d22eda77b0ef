package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// trusted fails unless an API server that has read caBundle now accepts what the replica serves, by each name and through each entry.
func trusted(t *testing.T, a *apiServer, k *watched) {
	t.Helper()
	c, err := k.Certificate(nil)
	if err != nil {
		t.Fatalf("%s: %v", time.Now(), err)
	}
	for i := range a.hooks.Webhooks {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(a.bundle(i))
		for _, name := range names {
			if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: time.Now()}); err != nil {
				t.Fatalf("%s: entry %d does not trust what is served: %v", time.Now(), i, err)
			}
		}
	}
}

// start runs replicas until the test ends.
func start(t *testing.T, replicas ...*watched) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	t.Cleanup(func() { cancel(); wait.Wait() })
	for _, k := range replicas {
		wait.Go(func() { k.Run(ctx) })
	}
}

func TestAYearOfTwoReplicasHasNoMomentWithoutTrust(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPIServer(3)
		one, two := replica(t, a, 2*time.Hour, 13*time.Hour), replica(t, a, 2*time.Hour, 13*time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { one.Run(ctx) })
		wait.Go(func() { two.Run(ctx) })
		serials := map[string]bool{}
		previous := []byte(nil)
		end := time.Now().Add(366 * 24 * time.Hour)
		time.Sleep(time.Minute)
		for time.Now().Before(end) {
			for _, k := range []*watched{one, two} {
				trusted(t, a, k)
				if previous != nil { // an API server that is as slow as half of the settling
					if c, _ := k.Certificate(nil); !signedByOneOf(c.Leaf, certificates(previous)) {
						t.Fatalf("%s: a leaf was served that a slow API server does not trust", time.Now())
					}
				}
				c, _ := k.Certificate(nil)
				serials[c.Leaf.SerialNumber.String()] = true
				if left := time.Until(c.Leaf.NotAfter); left < 9*24*time.Hour-12*time.Hour {
					t.Fatalf("%s left", left)
				}
			}
			if n := len(certificates(a.bundle(0))); n > 3 {
				t.Fatalf("%d CAs are trusted at once", n)
			}
			previous = a.bundle(0)
			time.Sleep(6 * time.Hour)
		}
		cancel()
		wait.Wait()
		// 366 days at 19 to 20 days each.
		if len(serials) < 18 || len(serials) > 20 || a.writes != len(serials) {
			t.Errorf("%d leaves were served, the Secret was written %d times", len(serials), a.writes)
		}
		if n := one.counted(t, rotations) + two.counted(t, rotations); int(n) != a.writes {
			t.Errorf("%v rotations were counted for %d writes", n, a.writes)
		}
	})
}

func signedByOneOf(leaf *x509.Certificate, cas []*x509.Certificate) bool {
	for _, ca := range cas {
		if leaf.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

func TestS48TheKeyOfTheCAIsNowhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPIServer(1)
		// What was there before, and looks like the key of a CA, goes too.
		a.secret, _ = a.CreateSecret(t.Context(), "", "certificate", map[string][]byte{"ca.key": []byte("old"), "tls.key": []byte("old")})
		k := replica(t, a, time.Hour, time.Hour)
		start(t, k)
		time.Sleep(25 * 24 * time.Hour)
		if a.writes < 3 {
			t.Fatalf("%d writes: it was not rotated", a.writes)
		}
		cas := append(certificates(a.secret.Data[keyCA]), certificates(a.secret.Data[keyPrevious])...)
		if len(cas) < 2 {
			t.Fatalf("%d CAs", len(cas))
		}
		for key, text := range a.secret.Data {
			block, rest := pem.Decode(text)
			for ; block != nil; block, rest = pem.Decode(rest) {
				if block.Type != "PRIVATE KEY" {
					continue
				}
				private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				for _, ca := range cas {
					if private.(*ecdsa.PrivateKey).PublicKey.Equal(ca.PublicKey) {
						t.Errorf("%s holds the key of a CA", key)
					}
				}
			}
		}
		if _, there := a.secret.Data["ca.key"]; there {
			t.Error("ca.key is still there")
		}
	})
}

// The CA vouches for these names alone: whoever has stolen one can be nobody else.
func TestS48TheCAIsForTheseNamesAlone(t *testing.T) {
	t.Parallel()
	p, err := makePair(append([]string{"127.0.0.1", "::1"}, names...), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !p.ca.PermittedDNSDomainsCritical || len(p.ca.PermittedDNSDomains) != 2 || len(p.ca.PermittedIPRanges) != 2 || !p.ca.MaxPathLenZero {
		t.Errorf("constraints: %v %v", p.ca.PermittedDNSDomains, p.ca.PermittedIPRanges)
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.ca)
	for name, ok := range map[string]bool{names[0]: true, names[1]: true, "[127.0.0.1]": true, "[::1]": true, "kubernetes.default.svc": false, "[127.0.0.2]": false} {
		if _, err := p.cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheOldLeafIsServedUntilEveryEntryHasHeldTheNewCALongEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPIServer(3)
		k := replica(t, a, 5*time.Second, 30*time.Second)
		start(t, k)
		time.Sleep(time.Second)
		old, _ := k.Certificate(nil)
		// Another replica rotates. Then somebody empties one entry again and again.
		p, err := makePair(names, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		a.change(func(a *apiServer) {
			a.secret.Data = maps.Clone(p.text)
			a.secret.Data[keyPrevious] = encode(k.serving.Load().ca)
		})
		for range 20 {
			time.Sleep(10 * time.Second)
			if now, _ := k.Certificate(nil); !now.Leaf.Equal(old.Leaf) {
				t.Fatal("the new leaf is served although one entry was emptied less than 30 s ago")
			}
			a.change(func(a *apiServer) { a.hooks.Webhooks[1].ClientConfig.CABundle = nil })
		}
		time.Sleep(6 * time.Second)
		if cas := certificates(a.bundle(1)); len(cas) != 2 {
			t.Fatalf("%d CAs, want the old and the new one", len(cas))
		}
		time.Sleep(31 * time.Second)
		if now, _ := k.Certificate(nil); !now.Leaf.Equal(p.cert.Leaf) {
			t.Error("the new leaf is not served")
		}
	})
}

func TestAnOldCAGoesWhenItsLeafHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPIServer(2)
		k := replica(t, a, 10*time.Minute, time.Minute)
		start(t, k)
		time.Sleep(time.Second)
		first := k.serving.Load()
		time.Sleep(leafLife - time.Hour)
		if !holds(a.bundle(0), []*x509.Certificate{first.ca}) {
			t.Error("the CA has gone while its leaf could be served")
		}
		time.Sleep(2 * time.Hour)
		if holds(a.bundle(0), []*x509.Certificate{first.ca}) {
			t.Error("the CA is still trusted")
		}
	})
}

func TestWhatSomebodyElseDoesIsPutRight(t *testing.T) {
	t.Parallel()
	other, err := makePair([]string{"elsewhere.default.svc"}, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	set := func(key string, value []byte) func(*apiServer) {
		return func(a *apiServer) { a.secret.Data[key] = value }
	}
	for name, do := range map[string]func(*apiServer){
		"the Secret is deleted":       func(a *apiServer) { a.secret = nil },
		"the Secret is emptied":       func(a *apiServer) { a.secret.Data = map[string][]byte{} },
		"the key is garbage":          set(keyKey, []byte("garbage")),
		"the leaf is garbage":         set(keyCert, []byte{0, 1, 2}),
		"the CA is garbage":           set(keyCA, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
		"the CA is that of another":   set(keyCA, other.text[keyCA]),
		"the key is that of another":  set(keyKey, other.text[keyKey]),
		"the pair is for other names": func(a *apiServer) { a.secret.Data = maps.Clone(other.text) },
		"caBundle is wiped":           func(a *apiServer) { a.hooks.Webhooks[1].ClientConfig.CABundle = nil },
		"caBundle is garbage":         func(a *apiServer) { a.hooks.Webhooks[0].ClientConfig.CABundle = []byte("garbage") },
		"caBundle is that of another": func(a *apiServer) { a.hooks.Webhooks[0].ClientConfig.CABundle = other.text[keyCA] },
		"the entries are others":      func(a *apiServer) { a.hooks.Webhooks = append(a.hooks.Webhooks[1:], a.hooks.Webhooks[0]) },
		"an entry is added": func(a *apiServer) {
			a.hooks.Webhooks = append(a.hooks.Webhooks, a.hooks.Webhooks[0])
			a.hooks.Webhooks[3].ClientConfig.CABundle = nil
		},
		"both are wiped":                func(a *apiServer) { a.secret = nil; a.hooks.Webhooks[0].ClientConfig.CABundle = nil },
		"the previous CAs are garbage":  set(keyPrevious, []byte("garbage")),
		"a key is added to the Secret":  set("ca.key", []byte("x")),
		"the leaf is another's":         set(keyCert, other.text[keyCert]),
		"a million bytes of the bundle": func(a *apiServer) { a.hooks.Webhooks[0].ClientConfig.CABundle = make([]byte, 1_000_000) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAPIServer(3)
				one, two := replica(t, a, 0, 0), replica(t, a, 0, 0)
				start(t, one, two)
				time.Sleep(time.Second)
				trusted(t, a, one)
				a.change(do)
				for range 30 {
					time.Sleep(6 * time.Second)
					trusted(t, a, one)
					trusted(t, a, two)
				}
				if _, err := parsePair(a.secret.Data, names, time.Now()); err != nil {
					t.Errorf("the Secret was not put right: %v", err)
				}
				c1, _ := one.Certificate(nil)
				c2, _ := two.Certificate(nil)
				if !c1.Leaf.Equal(c2.Leaf) {
					t.Error("the replicas serve different leaves")
				}
				if a.writes > 2 {
					t.Errorf("%d writes of the Secret", a.writes)
				}
			})
		})
	}
}

func TestTheLoserOfARaceTakesTheWinnersPair(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]bool{"the Secret is new": false, "the Secret is there": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAPIServer(1)
				if there {
					a.secret, _ = a.CreateSecret(t.Context(), "", "certificate", map[string][]byte{})
				}
				winner, loser := replica(t, a, 0, 0), replica(t, a, 0, 0)
				a.after = func() {
					if err := winner.look(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if err := loser.look(t.Context()); err != nil {
					t.Fatal(err)
				}
				c1, _ := winner.Certificate(nil)
				c2, _ := loser.Certificate(nil)
				if c1 == nil || c2 == nil || !c1.Leaf.Equal(c2.Leaf) {
					t.Error("the replicas serve different leaves")
				}
				if n := loser.counted(t, rotations); n != 0 {
					t.Errorf("the loser counts %v rotations", n)
				}
			})
		})
	}
}

// Two replicas that start together both write caBundle. The slower one must not be without a certificate for seconds, as no replica is ready then.
func TestTheLoserOfARaceForCABundleLooksAgainAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPIServer(3)
		winner, loser := replica(t, a, 0, 0), replica(t, a, 0, 0)
		a.hooked = func() {
			if err := winner.look(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := loser.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		trusted(t, a, loser)
		if n := loser.counted(t, "postern_injector_certificate_failures_total"); n != 0 {
			t.Errorf("%v failures are counted", n)
		}
	})
}

func TestTroubleIsTriedAgainWhenTheLogSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPIServer(3)
		a.down = true
		k := replica(t, a, 0, 0)
		start(t, k)
		time.Sleep(time.Second)
		a.change(func(a *apiServer) { a.down = false })
		time.Sleep(defaultPoll)
		trusted(t, a, k)
	})
}

func TestTroubleOfTheAPIServerIsWaitedOutForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPIServer(2)
		a.down = true
		k := replica(t, a, 10*time.Minute, time.Minute)
		start(t, k)
		time.Sleep(48 * time.Hour)
		if _, err := k.Certificate(&tls.ClientHelloInfo{}); err == nil || k.Ready() {
			t.Error("there is something to serve")
		}
		a.change(func(a *apiServer) { a.down = false })
		time.Sleep(10*time.Minute + time.Second)
		trusted(t, a, k)
		old := k.serving.Load()
		// Down for longer than the leaf lives: it is said, and served no longer as if it were good; then all is well again.
		a.change(func(a *apiServer) { a.down = true })
		time.Sleep(31 * 24 * time.Hour)
		if k.Ready() {
			t.Error("a leaf that has ended is as good as none")
		}
		if k.counted(t, "postern_injector_certificate_failures_total") < 100 {
			t.Error("failures are not counted")
		}
		a.change(func(a *apiServer) { a.down = false })
		time.Sleep(10*time.Minute + time.Second)
		trusted(t, a, k)
		if k.serving.Load() == old || !k.Ready() {
			t.Error("the old leaf is still in service")
		}
	})
}

func TestAConfigurationWithoutEntriesOrThatIsMissingServesNothing(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]*apiServer{"no entries": newAPIServer(0), "missing": newAPIServer(1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "missing" {
				a.hooks.Metadata.Name = "another"
			}
			k := replica(t, a, 0, 0)
			if err := k.look(t.Context()); err == nil || k.Ready() {
				t.Errorf("ready, %v", err)
			}
		})
	}
}
