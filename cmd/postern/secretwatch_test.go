package main

import (
	"os"
	"path/filepath"
	"testing"

	"postern/config"
	"postern/session"
	"postern/session/storetest"
)

// An SSO proxy has a store and no client of a provider; the password of its store changes with its file like anybody's.
func TestStoreCredentialsAreReadAgainWithoutAClient(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	if err := server.Client.ConfigSet(t.Context(), "requirepass", "barley").Err(); err != nil {
		t.Fatal(err)
	}
	cfg := server.Config()
	cfg.Password = config.NewSecret("sesame")
	kept, err := session.NewRedisStore(cfg, session.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	if err := kept.Ping(t.Context()); err == nil {
		t.Fatal("the old password is taken")
	}
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("barley\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &sidecar{cfg: config.Config{Redis: cfg}, store: kept, secretFiles: map[string]string{"redis.password": path}}
	apply := s.watchedSecrets()["redis.password"]
	if apply == nil {
		t.Fatal("the file is not watched")
	}
	if err := apply(path); err != nil {
		t.Fatal(err)
	}
	if err := kept.Ping(t.Context()); err != nil {
		t.Errorf("with the new password: %v", err)
	}
}
