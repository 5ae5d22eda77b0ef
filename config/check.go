package config

// check looks at everything, so that all problems come at once. Later checks bear with values that earlier ones have refused.
func (l *loader) check() {
	l.checkListeners()
	l.checkLimits()
	l.checkIngress()
	l.checkUpstream()
	l.checkIssuers()
	l.checkBearer()
	l.checkFront()
	l.checkPolicy()
	l.checkLogin()
	l.checkCookies()
	l.checkSessions()
	l.checkKeys()
	l.checkRedis()
	l.checkSSO()
	l.checkIdentity()
	l.checkAssertion()
	l.checkForwardAuth()
	l.checkAdmin()
	l.checkToken()
	l.checkEgress()
	l.checkUpstreamTokens()
	l.checkPlatform()
}

// doubt is for what wonderwall accepts and we would not: from a WONDERWALL_ variable it is a warning (contract 2), else a problem. It says
// whether it was a problem.
func (l *loader) doubt(option, format string, args ...any) bool {
	if l.option(option).fromWonderwall() {
		l.warn(option, format, args...)
		return false
	}
	l.problem(option, format, args...)
	return true
}
