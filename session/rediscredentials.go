package session

import (
	"sync/atomic"

	"postern/config"
)

// credentials are what each new connection authenticates with. Connections that are open stay as they are: Redis asks once.
type credentials struct{ now atomic.Pointer[userPassword] }

type userPassword struct{ user, password string }

func newCredentials(user, password string) *credentials {
	c := &credentials{}
	c.now.Store(&userPassword{user, password})
	return c
}

func (c *credentials) get() (user, password string) {
	now := c.now.Load()
	return now.user, now.password
}

// ReplaceCredentials takes user and password of a configuration into use, and nothing else of it.
func (s *RedisStore) ReplaceCredentials(cfg config.Redis) error {
	options, err := redisOptions(cfg)
	if err != nil {
		return err
	}
	s.credentials.now.Store(&userPassword{options.Username, options.Password})
	return nil
}
