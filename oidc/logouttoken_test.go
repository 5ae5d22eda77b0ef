package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/config"
)

var logoutEvents = map[string]any{logoutEvent: map[string]any{}}

// logoutClaims are those of a token that is as the specification has it, with changes; nil takes a claim away.
func logoutClaims(now time.Time, changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": testIssuer, "aud": testClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": "token-1",
		"sub": "sub-1", "sid": "sid-1", "events": logoutEvents,
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func (w *world) logoutToken(typ string, changes map[string]any) string {
	return signJWT(w.t, w.key, typ, logoutClaims(w.now(), changes))
}

// OIDC Back-Channel Logout 1.0 §2.4 and §2.6, as S-33 has them.
func TestS33LogoutTokenIsHeldToTheSpecification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, holdLogoutTokens) // the second counts
}

func holdLogoutTokens(t *testing.T) {
	w := newWorld(t, newIDP(t), withOpenID(func(c *config.OpenID) { c.Audiences = []string{"friend"} }))
	now := time.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, tc := range map[string]struct {
		typ     string
		changes map[string]any
		reason  string // empty: accepted
	}{
		"as specified":                   {"logout+jwt", nil, ""},
		"typ in other letters":           {"Logout+JWT", nil, ""},
		"typ as a media type":            {"application/logout+jwt", nil, ""},
		"no typ":                         {"", nil, ""},
		"typ of an id token":             {"JWT", nil, "another type"},
		"typ of an access token":         {"at+jwt", nil, "another type"},
		"session alone":                  {"logout+jwt", map[string]any{"sub": nil}, ""},
		"person alone":                   {"logout+jwt", map[string]any{"sid": nil}, ""},
		"neither":                        {"logout+jwt", map[string]any{"sid": nil, "sub": nil}, "neither a person nor a session"},
		"empty session":                  {"logout+jwt", map[string]any{"sid": ""}, "sid is not a text"},
		"empty person":                   {"logout+jwt", map[string]any{"sub": ""}, "sub is not a text"},
		"session null":                   {"logout+jwt", map[string]any{"sid": json.RawMessage("null")}, "sid is not a text"},
		"session a number":               {"logout+jwt", map[string]any{"sid": 7}, "sid is not a text"},
		"person a list":                  {"logout+jwt", map[string]any{"sub": []string{"sub-1"}}, "sub is not a text"},
		"person of 256 bytes":            {"logout+jwt", map[string]any{"sub": strings.Repeat("s", 256)}, "subject is too long"},
		"another issuer":                 {"logout+jwt", map[string]any{"iss": "https://evil.example"}, "issuer is not the provider"},
		"issuer with a slash":            {"logout+jwt", map[string]any{"iss": testIssuer + "/"}, "issuer is not the provider"},
		"no issuer":                      {"logout+jwt", map[string]any{"iss": nil}, "issuer is not the provider"},
		"issuer a list":                  {"logout+jwt", map[string]any{"iss": []string{testIssuer}}, "issuer is not the provider"},
		"another client":                 {"logout+jwt", map[string]any{"aud": "client-2"}, "not for this client"},
		"no audience":                    {"logout+jwt", map[string]any{"aud": nil}, "not for this client"},
		"audience a list":                {"logout+jwt", map[string]any{"aud": []string{testClientID}}, ""},
		"also for a friend":              {"logout+jwt", map[string]any{"aud": []string{"friend", testClientID}}, ""},
		"also for a stranger":            {"logout+jwt", map[string]any{"aud": []string{testClientID, "client-2"}}, "audience that is not trusted"},
		"issued 5 min ago":               {"logout+jwt", map[string]any{"iat": in(-LogoutTokenAge + 2*time.Second)}, ""},
		"issued 5 min and 1 s ago":       {"logout+jwt", map[string]any{"iat": in(-LogoutTokenAge - time.Second)}, "time of issue"},
		"issued in the future":           {"logout+jwt", map[string]any{"iat": in(2 * time.Minute)}, "time of issue"},
		"issued by a clock ahead":        {"logout+jwt", map[string]any{"iat": in(clockSkew / 2)}, ""},
		"no time of issue":               {"logout+jwt", map[string]any{"iat": nil}, "time of issue"},
		"time of issue a text":           {"logout+jwt", map[string]any{"iat": fmt.Sprint(now.Unix())}, "time of issue"},
		"no expiry":                      {"logout+jwt", map[string]any{"exp": nil}, ""},
		"expired":                        {"logout+jwt", map[string]any{"exp": in(-time.Minute)}, "expired"},
		"expiry a text":                  {"logout+jwt", map[string]any{"exp": "never"}, "expired"},
		"not valid yet":                  {"logout+jwt", map[string]any{"nbf": in(time.Minute)}, "not valid yet"},
		"no name":                        {"logout+jwt", map[string]any{"jti": nil}, "jti"},
		"empty name":                     {"logout+jwt", map[string]any{"jti": ""}, "jti"},
		"a nonce":                        {"logout+jwt", map[string]any{"nonce": "n"}, "nonce"},
		"an empty nonce":                 {"logout+jwt", map[string]any{"nonce": ""}, "nonce"},
		"a nonce of null":                {"logout+jwt", map[string]any{"nonce": json.RawMessage("null")}, "nonce"},
		"a nonce in other letters":       {"logout+jwt", map[string]any{"Nonce": "n"}, "upper and lower case"},
		"an issuer in other letters too": {"logout+jwt", map[string]any{"ISS": "https://evil.example"}, "upper and lower case"},
		"no events":                      {"logout+jwt", map[string]any{"events": nil}, "events"},
		"events a text":                  {"logout+jwt", map[string]any{"events": logoutEvent}, "events"},
		"events a list":                  {"logout+jwt", map[string]any{"events": []string{logoutEvent}}, "events"},
		"another event":                  {"logout+jwt", map[string]any{"events": map[string]any{"https://schemas.openid.net/secevent/risc": struct{}{}}}, "events"},
		"the event true":                 {"logout+jwt", map[string]any{"events": map[string]any{logoutEvent: true}}, "events"},
		"the event null":                 {"logout+jwt", map[string]any{"events": map[string]any{logoutEvent: nil}}, "events"},
		"the event twice": {
			"logout+jwt", map[string]any{"events": json.RawMessage(`{"` + logoutEvent + `":{},"` + logoutEvent + `":{}}`)}, "events",
		},
		"a further event":        {"logout+jwt", map[string]any{"events": map[string]any{logoutEvent: struct{}{}, "urn:x": struct{}{}}}, ""},
		"the event with content": {"logout+jwt", map[string]any{"events": map[string]any{logoutEvent: map[string]any{"x": 1}}}, ""},
		"17 KiB":                 {"logout+jwt", map[string]any{"pad": strings.Repeat("p", 17<<10)}, "16 KiB"},
	} {
		said, err := w.client.VerifyLogoutToken(t.Context(), w.logoutToken(tc.typ, tc.changes))
		if tc.reason != "" {
			if invalid := (*InvalidTokenError)(nil); !errors.As(err, &invalid) || !strings.Contains(invalid.Reason, tc.reason) || said != (LogoutToken{}) {
				t.Errorf("%s: %v, want a reason with %q", name, err, tc.reason)
			}
			continue
		}
		want := LogoutToken{ID: testIssuer + " token-1"}
		want.Subject, _ = logoutClaims(now, tc.changes)["sub"].(string)
		want.SID, _ = logoutClaims(now, tc.changes)["sid"].(string)
		if err != nil || said != want {
			t.Errorf("%s: %+v, %v", name, said, err)
		}
	}
}

// A signature is by a key that the provider publishes, for an algorithm that it announces.
func TestS33LogoutTokenIsSignedByTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	good := w.logoutToken("logout+jwt", nil)
	head, _, _ := strings.Cut(good, ".")
	body, err := json.Marshal(logoutClaims(time.Now(), nil))
	must(t, err)
	stranger := &signingKey{alg: "RS256", kid: "k1", private: rsaTwoOnce()}
	for name, tc := range map[string]struct{ token, reason string }{
		"a stranger's key under a known id": {signJWT(t, stranger, "logout+jwt", logoutClaims(time.Now(), nil)), "signature does not verify"},
		"no algorithm":                      {b64(`{"alg":"none","typ":"logout+jwt"}`) + "." + b64(string(body)) + ".AA", "algorithm"},
		"a shared secret":                   {b64(`{"alg":"HS256","kid":"k1"}`) + "." + b64(string(body)) + ".AA", "algorithm"},
		"one that is not announced":         {b64(`{"alg":"PS256","kid":"k1"}`) + "." + b64(string(body)) + ".AA", "algorithm"},
		"other claims":                      {head + "." + b64(strings.Replace(string(body), "sub-1", "sub-2", 1)) + good[strings.LastIndexByte(good, '.'):], "signature"},
		"no signature":                      {good[:strings.LastIndexByte(good, '.')+1], "base64url"},
		"critical extensions":               {b64(`{"alg":"RS256","kid":"k1","crit":["x"]}`) + "." + b64(string(body)) + ".AA", "critical"},
		"nothing":                           {"", "compact"},
		"an id token of a login":            {signJWT(t, w.key, "", w.idClaims("n")), "events"},
	} {
		_, err := w.client.VerifyLogoutToken(t.Context(), tc.token)
		wantInvalid(t, err, tc.reason)
		if len(tc.token) > 60 && strings.Contains(err.Error(), tc.token[40:60]) {
			t.Errorf("%s: the error quotes the token: %v", name, err)
		}
	}
	if w.count("/jwks") != 1 {
		t.Errorf("forged tokens of a known key cost %d fetches", w.count("/jwks")-1)
	}
}

// S-33: what anybody can send must not use up the fetches of those who bring a token of a new key, and not the other way round either.
func TestS33ForgedLogoutTokensDoNotDelayATokenOfANewKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		w := newWorld(t, p)
		fetched := p.count("/jwks")
		forge := func(n int) error {
			key := &signingKey{alg: "RS256", kid: fmt.Sprintf("forged-%d", n), private: rsaTwoOnce()}
			_, err := w.client.VerifyLogoutToken(t.Context(), signJWT(t, key, "logout+jwt", logoutClaims(time.Now(), nil)))
			return err
		}
		wantInvalid(t, forge(0), "key is not one of the provider's")
		for n := range 50 {
			if n > 0 {
				wantTrouble(t, forge(n), "held back")
			}
		}
		if n := p.count("/jwks") - fetched; n != 1 {
			t.Fatalf("50 forged tokens cost %d fetches", n)
		}
		p.setKey("k2", "RS256", rsaTwoOnce())
		if _, err := w.provider.keysFor(t.Context(), "k2", "RS256"); err != nil {
			t.Fatalf("a caller's token of a new key: %v", err)
		}
		if _, err := w.client.VerifyLogoutToken(t.Context(), w.logoutToken("logout+jwt", nil)); err != nil {
			t.Errorf("a logout token of the key that is known by now: %v", err)
		}

		_, err := w.provider.keysFor(t.Context(), "k3", "RS256") // callers have used up theirs
		wantTrouble(t, err, "held back")
		time.Sleep(seekEvery) // and so have logouts, until now
		_, err = w.provider.keysFor(t.Context(), "k3", "RS256")
		wantInvalid(t, err, "key is not")
		p.setKey("k4", "RS256", rsaOnce())
		if _, err := w.client.VerifyLogoutToken(t.Context(), w.logoutToken("logout+jwt", nil)); err != nil {
			t.Errorf("a logout token of a new key: %v", err)
		}
	})
}

// Nothing that a stranger can write costs a fetch unless the token would be accepted but for its key.
func TestS33UnverifiedClaimsAreCheckedBeforeAKeyIsLookedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newIDP(t))
	forged := &signingKey{alg: "RS256", kid: "forged", private: rsaTwoOnce()}
	for _, changes := range []map[string]any{
		{"iss": "https://evil.example"}, {"aud": "x"}, {"iat": 1}, {"jti": nil}, {"events": nil}, {"nonce": "n"}, {"sub": nil, "sid": nil}, {"exp": 1},
	} {
		if _, err := w.client.VerifyLogoutToken(t.Context(), signJWT(t, forged, "logout+jwt", logoutClaims(time.Now(), changes))); err == nil {
			t.Errorf("%v was accepted", changes)
		}
	}
	if n := w.count("/jwks"); n != 1 {
		t.Errorf("%d fetches of keys", n)
	}
}

func TestLogoutTokenWithoutMetadataOrKeysIsTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		p.down("/", http.StatusServiceUnavailable)
		w := build(t, p)
		go w.provider.Run(t.Context())
		_, err := w.client.VerifyLogoutToken(t.Context(), w.logoutToken("logout+jwt", nil))
		if trouble := wantTrouble(t, err, "metadata"); !errors.Is(err, ErrNotReady) || trouble.RetryAfter <= 0 {
			t.Errorf("%v, retry after %v", err, trouble.RetryAfter)
		}
		p.up()
		time.Sleep(5 * time.Second)
		if _, err := w.client.VerifyLogoutToken(t.Context(), w.logoutToken("logout+jwt", nil)); err != nil {
			t.Errorf("the same token afterwards: %v", err)
		}
		p.down("/jwks", http.StatusServiceUnavailable)
		time.Sleep(25 * time.Hour)
		_, err = w.client.VerifyLogoutToken(t.Context(), w.logoutToken("logout+jwt", nil))
		wantTrouble(t, err, "keys_stale")
	})
}

// A provider of many tenants: the issuer names the tenant, which must be an allowed one; "tid" need not be there.
func TestLogoutOfAnIssuerOfManyTenants(t *testing.T) {
	t.Parallel()
	const base, stranger = "https://login.example/", "11111111-2222-4333-8444-555555555555"
	p := newIDP(t)
	p.issuer = base + "organizations/v2.0"
	p.metadata = p.defaultMetadata()
	p.metadata["issuer"], p.metadata["jwks_uri"] = base+"{tenantid}/v2.0", testIssuer+"/jwks"
	p.set(func() {
		p.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
				must(t, json.NewEncoder(w).Encode(p.metadata))
				return true
			}
			return false
		}
		p.published = []string{jwkJSON(t, rsaOnce().Public(), map[string]any{"kid": "k1", "alg": "RS256", "issuer": base + "{tenantid}/v2.0"})}
	})
	w := newWorld(t, p, withProvider(func(c *ProviderConfig) { c.Tenants = []string{testTenant} }))
	for name, tc := range map[string]struct {
		changes map[string]any
		reason  string
	}{
		"an allowed tenant":          {map[string]any{"iss": base + testTenant + "/v2.0"}, ""},
		"which also says so":         {map[string]any{"iss": base + testTenant + "/v2.0", "tid": testTenant}, ""},
		"which says another":         {map[string]any{"iss": base + testTenant + "/v2.0", "tid": stranger}, "tenant"},
		"another tenant":             {map[string]any{"iss": base + stranger + "/v2.0"}, "issuer"},
		"another, claiming to be it": {map[string]any{"iss": base + stranger + "/v2.0", "tid": testTenant}, "issuer"},
		"the placeholder":            {map[string]any{"iss": base + "{tenantid}/v2.0"}, "issuer"},
	} {
		_, err := w.client.VerifyLogoutToken(t.Context(), w.logoutToken("logout+jwt", tc.changes))
		if tc.reason == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if tc.reason != "" {
			wantInvalid(t, err, tc.reason)
		}
	}
	for iss, good := range map[string]bool{base + testTenant + "/v2.0": true, base + stranger + "/v2.0": false, base + "{tenantid}/v2.0": false, "": true} {
		if err := w.client.CheckLogoutIssuer(t.Context(), iss); (err == nil) != good {
			t.Errorf("front channel, issuer %q: %v", iss, err)
		}
	}
}

// S-33: "iss" of a front-channel logout.
func TestS33FrontChannelLogoutIsTheProviders(t *testing.T) {
	t.Parallel()
	for announced, want := range map[bool]map[string]bool{
		true:  {testIssuer: true, "": false, testIssuer + "/": false, "https://evil.example": false},
		false: {testIssuer: true, "": true, testIssuer + "/": false, "https://evil.example": false},
	} {
		p := newIDP(t)
		p.metadata["frontchannel_logout_session_supported"] = announced
		w := newWorld(t, p)
		for iss, good := range want {
			if err := w.client.CheckLogoutIssuer(t.Context(), iss); (err == nil) != good {
				t.Errorf("announced %v, issuer %q: %v", announced, iss, err)
			}
		}
	}
}

func FuzzVerifyLogoutToken(f *testing.F) {
	w := newWorld(f, newIDP(f))
	for _, seed := range []map[string]any{nil, {"sid": nil}, {"nonce": "n"}, {"events": nil}, {"aud": []any{testClientID, nil}}, {"iat": 1e300}} {
		body, err := json.Marshal(logoutClaims(time.Now(), seed))
		must(f, err)
		f.Add(`{"alg":"RS256","kid":"k1","typ":"logout+jwt"}`, string(body))
	}
	f.Add(`{"alg":"RS256","kid":"k1"}`, `{"iss":"`+testIssuer+`","iss":"x"}`)
	f.Add(`{"alg":"none"}`, `{"events":{"`+logoutEvent+`":{}}}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		said, err := w.client.VerifyLogoutToken(t.Context(), testToken(t, w.key, header, payload))
		if err != nil {
			if len(payload) > 40 && strings.Contains(err.Error(), payload) || said != (LogoutToken{}) {
				t.Errorf("said %+v, error %v", said, err)
			}
			return
		}
		// What was accepted means the same to everybody who reads JSON in another way.
		var plain struct {
			Iss, Sub, Sid, Jti, Nonce string
			Events                    map[string]any
		}
		if err := json.Unmarshal([]byte(payload), &plain); err != nil {
			t.Fatalf("accepted %q, which reads as %v", payload, err)
		}
		_, event := plain.Events[logoutEvent].(map[string]any)
		if plain.Iss != testIssuer || plain.Sub != said.Subject || plain.Sid != said.SID || said.ID != plain.Iss+" "+plain.Jti || !event || plain.Nonce != "" ||
			said.Subject == "" && said.SID == "" {
			t.Errorf("accepted %q as %+v", payload, said)
		}
	})
}
