package policy

import "strings"

// readManifest reads of a Nais Application what the platform itself decides on. The tables list the keys of the platform's resource
// definition, today's and those that it has had.
func (a *assembly) readManifest(v value) {
	v.object(fields{"apiVersion": unread, "kind": unread, "metadata": a.readMetadata, "spec": a.readSpec, "status": unread}, "metadata", "spec")
}

func (a *assembly) readMetadata(v value) {
	var app App
	v.excerpt(fields{"name": into(&app.Name, readAppName), "namespace": into(&app.Namespace, readAppName)}, "name")
	a.nameApp(v, app)
}

func (a *assembly) readSpec(v value) {
	accessPolicy := func(v value) {
		v.object(fields{"inbound": a.part("inbound", a.readInbound), "outbound": unread})
	}
	azure := func(v value) {
		v.object(fields{"application": a.part("users", a.readAzureApplication), "sidecar": unread})
	}
	v.excerpt(fields{
		"accessPolicy": accessPolicy,
		"azure":        azure,
		"tokenx":       a.part("tokenx", a.readTokenXClient),
		"idporten":     a.part("idporten", a.readIDPortenClient),
		"maskinporten": a.part("maskinporten", a.readMaskinportenClient),
	})
}

func (a *assembly) readAzureApplication(v value) {
	var enabled bool
	var users Users
	groups := func(v value) {
		v.list(func(v value) { v.object(fields{"id": readGroup(&users.Groups)}, "id") })
	}
	claims := func(v value) {
		v.object(fields{"extra": unread, "groups": groups})
	}
	v.object(fields{
		"enabled":               into(&enabled, value.flag),
		"allowAllUsers":         into(&users.AllowAll, value.flag),
		"claims":                claims,
		"replyURLs":             unread,
		"singlePageApplication": unread,
		"tenant":                unread,
	}, "enabled")
	a.doc.EntraOff = !enabled
	if enabled {
		a.doc.Users = &users
	}
}

func (a *assembly) readTokenXClient(v value) {
	var enabled bool
	v.object(fields{"enabled": into(&enabled, value.flag), "mountSecretsAsFilesOnly": unread}, "enabled")
	a.doc.TokenXOff = !enabled
}

func (a *assembly) readIDPortenClient(v value) {
	var enabled bool
	var idPorten IDPorten
	sidecar := func(v value) {
		v.object(fields{
			"level":                into(&idPorten.Level, readLevel),
			"enabled":              unread,
			"autoLogin":            unread,
			"autoLoginIgnorePaths": unread,
			"errorPath":            unread,
			"locale":               unread,
			"resources":            unread,
		})
	}
	v.object(fields{
		"enabled":                into(&enabled, value.flag),
		"sidecar":                sidecar,
		"accessTokenLifetime":    unread,
		"clientURI":              unread,
		"frontchannelLogoutPath": unread,
		"frontchannelLogoutURI":  unread,
		"integrationType":        unread,
		"postLogoutRedirectURIs": unread,
		"redirectPath":           unread,
		"redirectURI":            unread,
		"scopes":                 unread,
		"sessionLifetime":        unread,
	}, "enabled")
	if enabled {
		a.doc.IDPorten = &idPorten
	}
}

func (a *assembly) readMaskinportenClient(v value) {
	var enabled bool
	var maskinporten Maskinporten
	exposes := func(v value) {
		v.list(func(v value) {
			if scope, enabled := readExposedScope(v); enabled {
				maskinporten.Scopes = append(maskinporten.Scopes, nameScope(v, scope))
			}
		})
	}
	scopes := func(v value) {
		v.object(fields{"consumes": unread, "exposes": exposes})
	}
	v.object(fields{"enabled": into(&enabled, value.flag), "scopes": scopes}, "enabled")
	if enabled {
		a.doc.Maskinporten = &maskinporten
	}
}

// readExposedScope composes the full name: nav:<product><separator><name>.
func readExposedScope(v value) (scope MaskinportenScope, enabled bool) {
	var product, separator, name string
	consumer := func(v value) (number string) {
		v.object(fields{"orgno": into(&number, readOrganization), "name": unread}, "orgno")
		return number
	}
	v.object(fields{
		"enabled":             into(&enabled, value.flag),
		"name":                into(&name, readWord),
		"product":             into(&product, readWord),
		"separator":           into(&separator, readSeparator),
		"consumers":           eachInto(&scope.Consumers, consumer),
		"accessibleForAll":    into(&scope.AccessibleForAll, value.flag),
		"delegationSource":    into(&scope.DelegationSource, readWord),
		"allowedIntegrations": unread,
		"atAgeMax":            unread,
		"atMaxAge":            unread,
		"visibility":          unread,
	}, "enabled", "name", "product")
	if separator == "" {
		separator = ":"
		if strings.Contains(name, "/") {
			separator = "/"
		}
	}
	scope.Name = "nav:" + product + separator + name
	return scope, enabled
}

func readSeparator(v value) string { return readForm(v, separatorForm, `must be "/", ":" or "."`) }
