// Foretoken
