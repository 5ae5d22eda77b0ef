package devidp_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/oidc/devidp"
)

func (w *world) mint(m devidp.MintRequest) string {
	w.Helper()
	m.Base = w.srv.URL
	raw, err := w.idp.Mint(m)
	must(w, err)
	return raw
}

// part decodes the header (0) or the payload (1) of a token that need not verify.
func part(t testing.TB, raw string, n int) map[string]any {
	t.Helper()
	decoded, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[n])
	must(t, err)
	var object map[string]any
	must(t, json.Unmarshal(decoded, &object))
	return object
}

func profiles() map[string]devidp.Issuer {
	return map[string]devidp.Issuer{
		devidp.MintEntraUser: devidp.Entra, devidp.MintEntraApp: devidp.Entra, devidp.MintEntraIDToken: devidp.Entra, devidp.MintTokenX: devidp.TokenX,
		devidp.MintMaskinporten: devidp.Maskinporten, devidp.MintIDPorten: devidp.IDPorten, devidp.MintIDPortenIDToken: devidp.IDPorten,
		devidp.MintEntraLogout: devidp.Entra, devidp.MintIDPortenLogout: devidp.IDPorten,
	}
}

func TestMintedClaimsAreThoseOfARealToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) {
		c.TokenXAudience, c.IDPortenAudience = "local:me:app", "https://me.example"
	})
	now := float64(w.clock().Unix())
	kari := map[string]any{
		"iss": w.issuer(), "aud": clientID, "tid": devidp.DefaultTenantID, "ver": "2.0", "iat": now, "nbf": now, "name": "Kari Saksbehandler",
		"oid": "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a01", "preferred_username": "kari.saksbehandler@trygdeetaten.example",
		"NAVident": "Z990001", "groups": []any{devidp.GroupCaseworkers},
	}
	bjorn := map[string]any{"iss": w.srv.URL + "/idporten", "pid": bjornsPID, "acr": "idporten-loa-high", "iat": now}
	citizen := map[string]any{
		"client_amr": "private_key_jwt", "client_orgno": "314159268", "consumer": consumer(), "scope": "openid", "client_id": clientID,
	}
	for profile, want := range map[string]struct {
		claims map[string]any
		random []string
	}{
		devidp.MintEntraUser: {lay(maps.Clone(kari), map[string]any{
			"exp": now + 4500, "azp": clientID, "azp_name": "dev-gcp:team-a:app", "azpacr": "2", "scp": "defaultaccess orders.read",
		}), []string{"sub", "uti", "rh", "aio"}},
		devidp.MintEntraIDToken: {lay(maps.Clone(kari), map[string]any{"exp": now + 3600}), []string{"sub", "uti", "rh", "aio", "sid", "login_hint", "nonce"}},
		devidp.MintEntraApp: {map[string]any{
			"iss": w.issuer(), "aud": clientID, "tid": devidp.DefaultTenantID, "ver": "2.0", "iat": now, "nbf": now, "exp": now + 4500, "idtyp": "app",
			"azp": clientID, "azp_name": "dev-gcp:team-a:app", "azpacr": "2", "roles": []any{"access_as_application"},
		}, []string{"sub", "oid", "uti", "rh", "aio"}},
		devidp.MintIDPorten: {lay(maps.Clone(bjorn), lay(maps.Clone(citizen), map[string]any{
			"aud": "https://me.example", "exp": now + 4500,
		})), []string{"sub", "jti"}},
		devidp.MintIDPortenIDToken: {lay(maps.Clone(bjorn), map[string]any{
			"aud": clientID, "exp": now + 120, "amr": []any{"BankID"}, "auth_time": now - 1, "locale": "nb",
		}), []string{"sub", "jti", "sid", "nonce"}},
		devidp.MintTokenX: {lay(maps.Clone(bjorn), lay(maps.Clone(citizen), map[string]any{
			"iss": w.srv.URL + "/tokenx", "aud": "local:me:app", "nbf": now, "exp": now + 900, "client_id": "dev-gcp:team-a:frontend",
			"idp": w.srv.URL + "/idporten",
		})), []string{"sub", "jti"}},
		devidp.MintMaskinporten: {map[string]any{
			"iss": w.srv.URL + "/maskinporten/", "aud": "unspecified", "iat": now, "exp": now + 120, "client_id": clientID,
			"client_amr": "private_key_jwt", "consumer": consumer(), "scope": "postern:test/read", "token_type": "Bearer",
		}, []string{"jti"}},
	} {
		got := w.of(profiles()[profile], w.mint(devidp.MintRequest{Profile: profile}))
		if diff := cmp.Diff(want.claims, dropped(t, got, want.random...)); diff != "" {
			t.Errorf("%s:\n%s", profile, diff)
		}
	}
	app := w.of(devidp.Entra, w.mint(devidp.MintRequest{Profile: devidp.MintEntraApp}))
	again := w.of(devidp.Entra, w.mint(devidp.MintRequest{Profile: devidp.MintEntraApp}))
	if app["oid"] != app["sub"] || app["oid"] != again["oid"] || len(app["oid"].(string)) != 36 {
		t.Errorf("service principal: oid %v, sub %v, then %v", app["oid"], app["sub"], again["oid"])
	}
}

func TestMintLaysClaimsOverTheProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := float64(w.clock().Unix())
	raw := w.mint(devidp.MintRequest{
		Profile: devidp.MintEntraUser, Persona: "ola",
		Claims: map[string]any{"NAVident": nil, "groups": []string{"g"}, "aud": []string{"a", "b"}, "extra": map[string]any{"x": 1}},
		Header: map[string]any{"typ": "at+jwt", "kid": nil, "crit": []string{"x"}},
		ExpIn:  new(-60), IatIn: new(-600), NbfIn: new(5),
	})
	claims, header := part(t, raw, 1), part(t, raw, 0)
	if _, there := claims["NAVident"]; there || claims["name"] != "Ola Beslutter" || list(claims["groups"]) != "g" || list(claims["aud"]) != "a b" {
		t.Errorf("claims %v", claims)
	}
	if claims["exp"] != now-60 || claims["iat"] != now-600 || claims["nbf"] != now+5 {
		t.Errorf("times %v %v %v at %v", claims["exp"], claims["iat"], claims["nbf"], now)
	}
	if diff := cmp.Diff(map[string]any{"alg": "RS256", "typ": "at+jwt", "crit": []any{"x"}}, header); diff != "" {
		t.Errorf("header:\n%s", diff)
	}
	if got := part(t, w.mint(devidp.MintRequest{Claims: map[string]any{"a": 1}}), 1); len(got) != 1 {
		t.Errorf("without a profile: %v", got)
	}
	over := part(t, w.mint(devidp.MintRequest{Profile: devidp.MintEntraUser, Persona: "anna"}), 1)
	if _, there := over["groups"]; there || over["_claim_names"] == nil {
		t.Errorf("overage: %v", over)
	}
	raw = w.mint(devidp.MintRequest{Profile: devidp.MintTokenX, RawPayload: `{"aud":"a","aud":"b"}`})
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	must(t, err)
	if string(payload) != `{"aud":"a","aud":"b"}` || !w.believes(devidp.TokenX, raw) {
		t.Errorf("raw payload %s", payload)
	}
}

func TestMintedSignatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.KeyFile = "" })
	for _, of := range []devidp.Issuer{devidp.Entra, devidp.IDPorten} {
		must(t, w.idp.RotateKeys(of))
		w.idp.WithdrawKeys(of)
	}
	for name, c := range map[string]struct {
		ask  devidp.MintRequest
		want map[devidp.Issuer]bool // who believes it
	}{
		"RS256":                {devidp.MintRequest{Profile: devidp.MintIDPorten}, map[devidp.Issuer]bool{devidp.IDPorten: true}},
		"ES256":                {devidp.MintRequest{Profile: devidp.MintIDPorten, Alg: "ES256"}, map[devidp.Issuer]bool{devidp.IDPorten: true}},
		"ES256 of Entra ID":    {devidp.MintRequest{Profile: devidp.MintEntraUser, Alg: "ES256"}, map[devidp.Issuer]bool{devidp.Entra: true}},
		"PS256, key says RS":   {devidp.MintRequest{Profile: devidp.MintIDPorten, Alg: "PS256"}, nil},
		"RS384, key says 256":  {devidp.MintRequest{Profile: devidp.MintIDPorten, Alg: "RS384"}, nil},
		"PS256 of Entra ID":    {devidp.MintRequest{Profile: devidp.MintEntraUser, Alg: "PS256"}, map[devidp.Issuer]bool{devidp.Entra: true}}, // the key names none
		"RS384 of Entra ID":    {devidp.MintRequest{Profile: devidp.MintEntraUser, Alg: "RS384"}, map[devidp.Issuer]bool{devidp.Entra: true}},
		"RS512 of Entra ID":    {devidp.MintRequest{Profile: devidp.MintEntraUser, Alg: "RS512"}, map[devidp.Issuer]bool{devidp.Entra: true}},
		"none":                 {devidp.MintRequest{Profile: devidp.MintEntraUser, Alg: "none"}, nil},
		"HS256":                {devidp.MintRequest{Profile: devidp.MintEntraUser, Alg: "HS256"}, nil},
		"bad signature":        {devidp.MintRequest{Profile: devidp.MintEntraUser, BadSignature: true}, nil},
		"bad ES256":            {devidp.MintRequest{Profile: devidp.MintIDPorten, Alg: "ES256", BadSignature: true}, nil},
		"unknown key":          {devidp.MintRequest{Profile: devidp.MintEntraUser, Key: "unknown"}, nil},
		"unknown EC key":       {devidp.MintRequest{Profile: devidp.MintIDPorten, Alg: "ES256", Key: "unknown"}, nil},
		"unknown, known kid":   {devidp.MintRequest{Profile: devidp.MintEntraUser, Key: "unknown", Header: map[string]any{"kid": w.idp.KeyIDs()[0]}}, nil},
		"withdrawn key":        {devidp.MintRequest{Profile: devidp.MintIDPorten, Key: "withdrawn"}, nil},
		"another issuer's key": {devidp.MintRequest{Profile: devidp.MintIDPorten, Key: "entra"}, map[devidp.Issuer]bool{devidp.Entra: true}},
		"another's EC key":     {devidp.MintRequest{Profile: devidp.MintIDPorten, Alg: "ES256", Key: "tokenx"}, map[devidp.Issuer]bool{devidp.TokenX: true}},
		"header lies":          {devidp.MintRequest{Profile: devidp.MintEntraUser, Header: map[string]any{"alg": "PS256"}}, nil},
	} {
		raw := w.mint(c.ask)
		for _, of := range issuers() {
			if got := w.believes(of, raw); got != c.want[of] {
				t.Errorf("%s: %s believes it: %v", name, of, got)
			}
		}
	}
}

// The two forgeries are what they say: one without a signature, one whose secret is the public key.
func TestMintedForgeriesAreReal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, signature := split3(w.mint(devidp.MintRequest{Profile: devidp.MintTokenX, Alg: "none"}) + "x")
	if signature != "x" {
		t.Errorf("alg none is signed")
	}
	raw := w.mint(devidp.MintRequest{Profile: devidp.MintTokenX, Alg: "HS256"})
	header, payload, signature := split3(raw)
	set := w.keysOf(devidp.TokenX)
	key, _ := set.LookupKeyID(part(t, raw, 0)["kid"].(string))
	var public any
	must(t, key.Raw(&public))
	spki, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	mac.Write([]byte(header + "." + payload))
	if got := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); got != signature || part(t, raw, 0)["alg"] != "HS256" {
		t.Error("HS256 is not signed with the public key")
	}
}

// Entra ID shows RSA keys alone until somebody asks for ES256, and again after a withdrawal.
func TestEllipticKeyIsPublishedWhenItIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if n := w.keysOf(devidp.Entra).Len(); n != 1 {
		t.Fatalf("%d keys at first", n)
	}
	raw := w.mint(devidp.MintRequest{Alg: "ES256"})
	if set := w.keysOf(devidp.Entra); set.Len() != 2 || !w.believes(devidp.Entra, raw) {
		t.Errorf("%d keys after ES256", set.Len())
	}
	w.idp.WithdrawKeys()
	again := w.mint(devidp.MintRequest{Alg: "ES256", Key: "withdrawn"})
	if n := w.keysOf(devidp.Entra).Len(); n != 1 || w.believes(devidp.Entra, raw) || part(t, again, 0)["kid"] != part(t, raw, 0)["kid"] {
		t.Errorf("%d keys after a withdrawal", n)
	}
}

func TestMintRefusesWhatItCannotMake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, m := range map[string]devidp.MintRequest{
		"unknown profile":   {Profile: "feide"},
		"unknown algorithm": {Alg: "RS1"},
		"unknown key":       {Key: "somebody's"},
		"nothing withdrawn": {Key: "withdrawn"},
		"wrong persona":     {Profile: devidp.MintIDPorten, Persona: "kari"},
		"unknown persona":   {Profile: devidp.MintEntraUser, Persona: "nobody"},
		"no JSON":           {Claims: map[string]any{"x": func() {}}},
	} {
		m.Base = w.srv.URL
		if raw, err := w.idp.Mint(m); err == nil || raw != "" {
			t.Errorf("%s: %q, %v", name, raw, err)
		}
	}
	if _, err := w.idp.Mint(devidp.MintRequest{Profile: devidp.MintTokenX}); err == nil {
		t.Error("minted for an issuer without an address")
	}
}

func TestMintOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.Admin = true })
	type object = map[string]any
	status, got := w.knob("mint", object{
		"profile": "tokenx", "claims": object{"client_id": "dev-gcp:other:app", "acr": "Level4", "pid": nil}, "header": object{"typ": "at+jwt"}, "exp_in": 30,
	})
	raw, _ := got["token"].(string)
	claims := w.of(devidp.TokenX, raw)
	if status != 200 || claims["client_id"] != "dev-gcp:other:app" || claims["acr"] != "Level4" || claims["pid"] != nil ||
		claims["exp"] != float64(w.clock().Unix()+30) {
		t.Errorf("%d %v", status, claims)
	}
	if diff := cmp.Diff(any(claims), got["claims"]); diff != "" {
		t.Errorf("claims in the answer:\n%s", diff)
	}
	if diff := cmp.Diff(any(part(t, raw, 0)), got["header"]); diff != "" {
		t.Errorf("header in the answer:\n%s", diff)
	}
	if status, got := w.knob("mint", object{"raw_payload": "garbage"}); status != 200 || got["claims"] != nil || got["token"] == "" {
		t.Errorf("raw payload: %d %v", status, got)
	}
	for name, in := range map[string]any{"unknown member": object{"claim": object{}}, "unknown profile": object{"profile": "x"}, "no object": []string{}} {
		if status, _ := w.knob("mint", in); status != 400 {
			t.Errorf("%s: %d", name, status)
		}
	}
	r, err := http.Post(w.srv.URL+"/_dev/mint", "application/json", strings.NewReader(`{"claims":{"n":12345678901234567890}}{}`))
	must(t, err)
	defer r.Body.Close()
	if r.StatusCode != 400 {
		t.Errorf("something behind the object: %d", r.StatusCode)
	}
	if r := w.get(w.srv.URL + "/_dev/mint"); r.StatusCode != 405 {
		t.Errorf("GET: %d", r.StatusCode)
	}
}

func TestMintByLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *devidp.Config) { c.Admin = true })
	link := func(path string) (int, string) {
		r := w.get(w.srv.URL + "/_dev/token/" + path)
		raw, err := io.ReadAll(r.Body)
		must(t, err)
		if r.StatusCode == 200 && !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %s", path, r.Header.Get("Content-Type"))
		}
		return r.StatusCode, strings.TrimSpace(string(raw))
	}
	for profile, of := range profiles() {
		if status, raw := link(profile); status != 200 || !w.believes(of, raw) {
			t.Errorf("%s: %d", profile, status)
		}
	}
	_, raw := link("entra-user?azp=somebody&groups=one&NAVident=&persona=ola&exp_in=-5&iat=7")
	got := w.of(devidp.Entra, raw)
	if _, there := got["NAVident"]; there || got["azp"] != "somebody" || !slices.Equal(got["groups"].([]any), []any{"one"}) ||
		got["name"] != "Ola Beslutter" || got["exp"] != float64(w.clock().Unix()-5) || got["iat"] != 7.0 || got["persona"] != nil {
		t.Errorf("claims %v", got)
	}
	_, raw = link("maskinporten?aud=a&aud=b&scope=nav:x")
	if got := w.of(devidp.Maskinporten, raw); list(got["aud"]) != "a b" || got["scope"] != "nav:x" {
		t.Errorf("claims %v", got)
	}
	for _, bad := range []string{"feide", "", "entra-user?exp=soon", "entra-user?exp_in=x", "entra-user?persona=nobody", "entra-user?%zz"} {
		if status, got := link(bad); status != 400 || strings.Contains(got, "soon") {
			t.Errorf("%q: %d %s", bad, status, got)
		}
	}
}

func TestS41MintIsClosedUnlessAskedForAndToWebPages(t *testing.T) {
	t.Parallel()
	closed, open := newWorld(t), newWorld(t, func(c *devidp.Config) { c.Admin = true })
	ask := func(w *world, method, path string, header ...string) int {
		r, err := http.NewRequest(method, w.srv.URL+path, strings.NewReader("{}"))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		defer answer.Body.Close()
		return answer.StatusCode
	}
	for _, c := range []struct{ method, path string }{{http.MethodPost, "/_dev/mint"}, {http.MethodGet, "/_dev/token/entra-user"}} {
		if got := ask(closed, c.method, c.path); got != 404 {
			t.Errorf("%s without being asked for: %d", c.path, got)
		}
		for want, header := range map[int][]string{
			200: {}, 403: {"Origin", "http://evil.example"}, 421: {"Host", "evil.example"},
		} {
			if got := ask(open, c.method, c.path, header...); got != want {
				t.Errorf("%s with %v: %d", c.path, header, got)
			}
		}
		if got := ask(open, c.method, c.path, "Sec-Fetch-Site", "cross-site"); got != 403 {
			t.Errorf("%s from another site: %d", c.path, got)
		}
	}
}
