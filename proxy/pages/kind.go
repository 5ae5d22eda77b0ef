package pages

import "net/http"

// Kind is what happened. It chooses the words, the texts of links and button, and the status where [Page.Status] is 0.
type Kind uint8

// The kinds, with the meaning of the links Primary / Secondary, and of the button where the kind has one.
const (
	Internal         Kind = iota // a fault of ours; try again / front page
	BadRequest                   // cannot be read; front page / try again
	TwoSessions                  // two cookies of one name (S-23); try again / front page
	CrossSite                    // another site acted in the caller's name (S-17); front page / log in
	LoginRequired                // nobody, and a caller is required; log in / front page
	LoginDenied                  // access_denied; log in with another account / front page
	LoginFailed                  // provider refused, or its token is not acceptable; log in again / front page
	LoginExpired                 // the pending login is unknown or too old; log in again / front page
	LoginOvertaken               // the provider logged the person out while the login was under way; log in again / front page
	CookiesMissing               // our cookie never comes back, on the second try or after three rounds; log in again / front page
	AppSendsBack                 // three rounds, logged in each time; log in with another account / front page
	TooManyLogins                // S-28 and the loop breaker's limit; try again / front page
	ConfirmLogout                // a cross-site logout asks first (S-32); stay logged in / front page; button: log out
	SignedOut                    // log in again / front page
	LogoutFailed                 // the store cannot be asked; try again (without the button) / front page; button: log out again
	StoreTrouble                 // the store cannot be asked; try again / front page
	ProviderTrouble              // the provider cannot be asked; try again / front page
	Starting                     // metadata and keys are not there yet; try again / front page
	AppUnreachable               // no connection to the app; try again / front page
	AppTimeout                   // the app's response headers did not come in time; try again / front page
	NotFound                     // no such own endpoint; front page / try again
	MethodNotAllowed             // front page / try again
	Forbidden                    // the policy refuses this caller; front page / log in with another account
	LevelTooLow                  // the policy asks for a stronger login; log in again / front page

	kinds // how many there are
)

// label names a link's or button's text in texts/*.json.
type label string

const (
	frontPage  label = "front_page"
	tryAgain   label = "try_again"
	logIn      label = "log_in"
	logInAgain label = "log_in_again"
	logInOther label = "log_in_other"
	logOut     label = "log_out"
	logOutMore label = "log_out_again"
	stay       label = "stay"
)

// traits is what a kind has beside its words.
type traits struct {
	name                       string // key in texts/*.json, and in logs
	status                     int
	primary, secondary, button label
	open                       bool // the gate of the drawing stands open: one can go on
}

func (k Kind) traits() traits {
	switch k {
	case BadRequest:
		return traits{"bad_request", http.StatusBadRequest, frontPage, tryAgain, tryAgain, false}
	case TwoSessions:
		return traits{"two_sessions", http.StatusBadRequest, tryAgain, frontPage, tryAgain, false}
	case CrossSite:
		return traits{"cross_site", http.StatusForbidden, frontPage, logIn, tryAgain, false}
	case LoginRequired:
		return traits{"login_required", http.StatusUnauthorized, logIn, frontPage, logIn, true}
	case LoginDenied:
		return traits{"login_denied", http.StatusForbidden, logInOther, frontPage, logInOther, false}
	case LoginFailed:
		return traits{"login_failed", http.StatusUnauthorized, logInAgain, frontPage, logInAgain, false}
	case LoginExpired:
		return traits{"login_expired", http.StatusUnauthorized, logInAgain, frontPage, logInAgain, true}
	case LoginOvertaken:
		return traits{"login_overtaken", http.StatusUnauthorized, logInAgain, frontPage, logInAgain, true}
	case CookiesMissing:
		return traits{"cookies_missing", http.StatusBadRequest, logInAgain, frontPage, logInAgain, false}
	case AppSendsBack:
		return traits{"app_sends_back", http.StatusForbidden, logInOther, frontPage, logInOther, false}
	case TooManyLogins:
		return traits{"too_many_logins", http.StatusTooManyRequests, tryAgain, frontPage, tryAgain, false}
	case ConfirmLogout:
		return traits{"confirm_logout", http.StatusOK, stay, frontPage, logOut, true}
	case SignedOut:
		return traits{"signed_out", http.StatusOK, logInAgain, frontPage, logInAgain, true}
	case LogoutFailed:
		return traits{"logout_failed", http.StatusServiceUnavailable, tryAgain, frontPage, logOutMore, false}
	case StoreTrouble:
		return traits{"store_trouble", http.StatusServiceUnavailable, tryAgain, frontPage, tryAgain, false}
	case ProviderTrouble:
		return traits{"provider_trouble", http.StatusServiceUnavailable, tryAgain, frontPage, tryAgain, false}
	case Starting:
		return traits{"starting", http.StatusServiceUnavailable, tryAgain, frontPage, tryAgain, true}
	case AppUnreachable:
		return traits{"app_unreachable", http.StatusBadGateway, tryAgain, frontPage, tryAgain, false}
	case AppTimeout:
		return traits{"app_timeout", http.StatusGatewayTimeout, tryAgain, frontPage, tryAgain, false}
	case NotFound:
		return traits{"not_found", http.StatusNotFound, frontPage, tryAgain, tryAgain, false}
	case MethodNotAllowed:
		return traits{"method_not_allowed", http.StatusMethodNotAllowed, frontPage, tryAgain, tryAgain, false}
	case Forbidden:
		return traits{"forbidden", http.StatusForbidden, frontPage, logInOther, tryAgain, false}
	case LevelTooLow:
		return traits{"level_too_low", http.StatusUnauthorized, logInAgain, frontPage, logInAgain, true}
	default:
		return traits{"internal", http.StatusInternalServerError, tryAgain, frontPage, tryAgain, false}
	}
}

// String is the name in texts and logs: "login_required".
func (k Kind) String() string { return k.traits().name }
