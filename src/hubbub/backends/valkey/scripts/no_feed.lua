-- In place of feed.lua: this script runs only while there is no feed.
local FEED = false
