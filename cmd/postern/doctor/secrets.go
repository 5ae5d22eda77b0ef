package doctor

import (
	"cmp"
	"net/url"
	"reflect"
	"slices"

	"postern/config"
)

// shortestSecret is the length below which a text is not looked for: it would turn up everywhere.
const shortestSecret = 4

// secretsIn is every secret of a configuration, in the spellings in which an error of somebody else might quote it, the longest first. Nothing
// here should ever show one; this is the second lock on that door.
func secretsIn(cfg *config.Config) []string {
	var all []string
	add := func(text string) {
		for _, one := range []string{text, url.QueryEscape(text), url.PathEscape(text)} {
			if len(one) >= shortestSecret && !slices.Contains(all, one) {
				all = append(all, one)
			}
		}
	}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		if secret, is := v.Interface().(config.Secret); is {
			add(secret.Reveal())
			if u, err := url.Parse(secret.Reveal()); err == nil && u.User != nil {
				password, _ := u.User.Password()
				add(password)
			}
			return
		}
		switch v.Kind() { //nolint:exhaustive // other kinds hold no secret
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	if cfg != nil {
		walk(reflect.ValueOf(*cfg))
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return all
}
