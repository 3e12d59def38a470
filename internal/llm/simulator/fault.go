package simulator

import "net/http"

// A Fault is something that goes wrong with one call.
type Fault int

// The faults. Those with a status come at once, as OpenAI words them; the
// others after the time that the answer would have taken, or half of it.
const (
	NoFault      Fault = iota
	Unauthorized       // 401
	RateLimited        // 429, with Options.RetryAfter
	ServerError        // 500
	Overloaded         // 503, with Options.RetryAfter
	Hang               // no answer until the caller leaves
	Reset              // the connection breaks in the middle of the answer
	Cut                // the answer ends in its middle as if it were whole, without finish_reason and [DONE]
	StreamError        // an error event in the middle of a stream; 500 where none is asked for
	Empty              // 200 with no text
	Truncated          // 200 with half of the text, finish_reason "length"
	Refusal            // 200 with a refusal in place of text
	Filtered           // 200 with half of the text, finish_reason "content_filter"
	NotJSON            // 200 with a page of HTML
	NotStream          // 200 with a whole answer where a stream was asked for
	numFaults
)

// An apiError is an error body of OpenAI's, and its status.
type apiError struct {
	status  int
	kind    string // "type" in the body
	code    string // "" means null
	param   string // "" means null
	message string
}

func invalid(code, param, message string) *apiError {
	return &apiError{http.StatusBadRequest, "invalid_request_error", code, param, message}
}

// The errors that a [Fault] with a status means.
var faultErrors = map[Fault]*apiError{
	Unauthorized: {
		http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "",
		"Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
	},
	RateLimited: {
		http.StatusTooManyRequests, "requests", "rate_limit_exceeded", "",
		"Rate limit reached for requests. Please try again later.",
	},
	ServerError: {
		http.StatusInternalServerError, "server_error", "", "",
		"The server had an error while processing your request. Sorry about that!",
	},
	Overloaded: {
		http.StatusServiceUnavailable, "service_unavailable_error", "", "",
		"The engine is currently overloaded, please try again later.",
	},
}

const (
	refusalText = "I'm sorry, but I can't help with that."
	htmlPage    = "<html><head><title>Welcome</title></head><body><h1>This is not the API</h1></body></html>\n"
)

// pick returns the first key below n whose share holds u, or 0: the shares are
// laid end to end, in the order of the keys.
func pick[K ~int](shares map[K]float64, n K, u float64) K {
	for k := K(1); k < n && len(shares) > 0; k++ {
		if u -= shares[k]; u < 0 {
			return k
		}
	}
	return 0
}
