package session_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"postern/oidc"
	"postern/session"
)

func TestMetadataIsWonderwallsJSON(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		configure func(*session.ManagerConfig)
		life      time.Duration
		refresh   bool
		after     time.Duration
		want      string
	}{
		"fresh": {life: time.Hour, refresh: true, want: `{"session":{"created_at":"2000-01-01T00:00:00Z","ends_at":"2000-01-01T10:00:00Z",` +
			`"timeout_at":"0001-01-01T00:00:00Z","ends_in_seconds":36000,"active":true,"timeout_in_seconds":-1},` +
			`"tokens":{"expire_at":"2000-01-01T01:00:00Z","refreshed_at":"2000-01-01T00:00:00Z","expire_in_seconds":3600,` +
			`"next_auto_refresh_in_seconds":3570,"refresh_cooldown":true,"refresh_cooldown_seconds":60}}`},
		"seconds are rounded down": {
			life: time.Hour, refresh: true, after: 61500 * time.Millisecond,
			want: `{"session":{"created_at":"2000-01-01T00:00:00Z","ends_at":"2000-01-01T10:00:00Z",` +
				`"timeout_at":"0001-01-01T00:00:00Z","ends_in_seconds":35938,"active":true,"timeout_in_seconds":-1},` +
				`"tokens":{"expire_at":"2000-01-01T01:00:00Z","refreshed_at":"2000-01-01T00:00:00Z","expire_in_seconds":3538,` +
				`"next_auto_refresh_in_seconds":3508,"refresh_cooldown":false,"refresh_cooldown_seconds":0}}`,
		},
		"nothing to renew it with": {life: time.Minute, after: 2 * time.Minute, want: `{"session":{"created_at":"2000-01-01T00:00:00Z",` +
			`"ends_at":"2000-01-01T10:00:00Z","timeout_at":"0001-01-01T00:00:00Z","ends_in_seconds":35880,"active":true,"timeout_in_seconds":-1},` +
			`"tokens":{"expire_at":"2000-01-01T00:01:00Z","refreshed_at":"2000-01-01T00:00:00Z","expire_in_seconds":0,` +
			`"next_auto_refresh_in_seconds":-1,"refresh_cooldown":false,"refresh_cooldown_seconds":0}}`},
		"renewed on request only (SSO)": {
			life: 2 * time.Minute, refresh: true, configure: func(c *session.ManagerConfig) { c.ManualRefreshOnly = true },
			want: `{"session":{"created_at":"2000-01-01T00:00:00Z","ends_at":"2000-01-01T10:00:00Z",` +
				`"timeout_at":"0001-01-01T00:00:00Z","ends_in_seconds":36000,"active":true,"timeout_in_seconds":-1},` +
				`"tokens":{"expire_at":"2000-01-01T00:02:00Z","refreshed_at":"2000-01-01T00:00:00Z","expire_in_seconds":120,` +
				`"next_auto_refresh_in_seconds":-1,"refresh_cooldown":true,"refresh_cooldown_seconds":60}}`,
		},
		"a short token": {life: 40 * time.Second, refresh: true, want: `{"session":{"created_at":"2000-01-01T00:00:00Z",` +
			`"ends_at":"2000-01-01T10:00:00Z","timeout_at":"0001-01-01T00:00:00Z","ends_in_seconds":36000,"active":true,"timeout_in_seconds":-1},` +
			`"tokens":{"expire_at":"2000-01-01T00:00:40Z","refreshed_at":"2000-01-01T00:00:00Z","expire_in_seconds":40,` +
			`"next_auto_refresh_in_seconds":20,"refresh_cooldown":true,"refresh_cooldown_seconds":20}}`},
		"inactivity": {
			life: time.Hour, refresh: true, configure: func(c *session.ManagerConfig) { c.Inactivity = true },
			want: `{"session":{"created_at":"2000-01-01T00:00:00Z","ends_at":"2000-01-01T10:00:00Z",` +
				`"timeout_at":"2000-01-01T00:30:00Z","ends_in_seconds":36000,"active":true,"timeout_in_seconds":1800},` +
				`"tokens":{"expire_at":"2000-01-01T00:30:00Z","refreshed_at":"2000-01-01T00:00:00Z","expire_in_seconds":1800,` +
				`"next_auto_refresh_in_seconds":900,"refresh_cooldown":true,"refresh_cooldown_seconds":60}}`,
		},
		"inactive": {
			life: time.Hour, refresh: true, after: time.Hour, configure: func(c *session.ManagerConfig) { c.Inactivity = true },
			want: `{"session":{"created_at":"2000-01-01T00:00:00Z","ends_at":"2000-01-01T10:00:00Z",` +
				`"timeout_at":"2000-01-01T00:30:00Z","ends_in_seconds":32400,"active":false,"timeout_in_seconds":0},` +
				`"tokens":{"expire_at":"2000-01-01T00:30:00Z","refreshed_at":"2000-01-01T00:00:00Z","expire_in_seconds":0,` +
				`"next_auto_refresh_in_seconds":0,"refresh_cooldown":false,"refresh_cooldown_seconds":0}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldConfig{session: test.configure})
				w.provider.life = test.life
				grant := w.provider.login()
				if !test.refresh {
					grant.Tokens.Refresh = oidc.Token{}
				}
				_, cookie, err := w.Create(t.Context(), grant, session.Login{})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.after)
				s, err := w.Get(t.Context(), cookie)
				if err != nil && !errors.Is(err, session.ErrInactive) {
					t.Fatal(err)
				}
				got, err := json.Marshal(s.Metadata(time.Now()))
				if err != nil || string(got) != test.want {
					t.Errorf("%v\n got %s\nwant %s", err, got, test.want)
				}
			})
		})
	}
}
